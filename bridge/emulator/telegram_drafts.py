"""Drafts: a preview the bot shows in a private chat while it still writes.

A draft lives half a minute unless it is sent again, one for each thread; any real message of
the bot in that thread takes its place. It cannot be deleted otherwise.
"""

from __future__ import annotations

from bridge.emulator.telegram_methods import check_thread, open_chat_of, refuse_parse_mode
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_rich import rich_of
from bridge.emulator.telegram_state import Chat, Draft, Json, bad_request
from bridge.emulator.telegram_text import TEXT_UNITS_MAX, formatted
from bridge.emulator.telegram_world import TelegramWorld

DRAFT_S = 30.0


def send_message_draft(world: TelegramWorld, params: Params) -> bool:
    """sendMessageDraft; an empty text shows "Thinking…"."""
    refuse_parse_mode(params)
    chat, draft = _new_draft(world, params)
    draft.text, draft.entities = formatted(
        params.text("text"), params.get("entities"), units_max=TEXT_UNITS_MAX
    )
    return _show(world, chat, draft)


def send_rich_message_draft(world: TelegramWorld, params: Params) -> bool:
    """sendRichMessageDraft: the only place for a block that says what is being thought."""
    chat, draft = _new_draft(world, params)
    draft.rich = rich_of(params, thinking=True)
    return _show(world, chat, draft)


def live_drafts(chat: Chat, at: float) -> dict[int | None, Draft]:
    """The drafts still shown at a monotonic time, by thread."""
    return {thread: draft for thread, draft in chat.drafts.items() if at - draft.at < DRAFT_S}


def draft_to_view(draft: Draft, at: float) -> Json:
    """What the page shows, and for how many seconds more."""
    return {
        "draft_id": draft.draft_id,
        "thread_id": draft.thread_id,
        "text": draft.text,
        "entities": draft.entities,
        "rich": draft.rich,
        "can_stop": draft.can_stop,
        "seconds": max(0.0, DRAFT_S - (at - draft.at)),
    }


def _new_draft(world: TelegramWorld, params: Params) -> tuple[Chat, Draft]:
    chat = open_chat_of(world, params)
    if not chat.private:
        raise bad_request("method is available only in private chats")
    draft_id = params.number("draft_id")
    if not draft_id:
        raise bad_request("RANDOM_ID_INVALID")
    return chat, Draft(
        draft_id=draft_id,
        thread_id=check_thread(chat, params),
        at=world.clock(),
        can_stop=params.flag("can_stop"),
        keep_on_stop=params.flag("keep_on_stop"),
    )


def _show(world: TelegramWorld, chat: Chat, draft: Draft) -> bool:
    chat.drafts[draft.thread_id] = draft
    world.emit(chat, "draft", draft_to_view(draft, world.clock()))
    return True
