"""What the chat page is told about a chat, for the person who looks at it."""

from __future__ import annotations

from bridge.emulator.telegram_drafts import draft_to_view, live_drafts
from bridge.emulator.telegram_menu import commands_for, text_for
from bridge.emulator.telegram_state import Json
from bridge.emulator.telegram_world import TelegramWorld

PAGE_FILES = {
    "/": ("chat.html", "text/html"),
    "/chat.css": ("chat.css", "text/css"),
    "/chat.rich.css": ("chat.rich.css", "text/css"),
    "/chat.svg": ("chat.svg", "image/svg+xml"),
    "/chat.js": ("chat.js", "text/javascript"),
    "/chat.compose.js": ("chat.compose.js", "text/javascript"),
    "/chat.render.js": ("chat.render.js", "text/javascript"),
    "/chat.rich.js": ("chat.rich.js", "text/javascript"),
    "/chat.text.js": ("chat.text.js", "text/javascript"),
    "/chat.words.js": ("chat.words.js", "text/javascript"),
}


def chat_to_view(world: TelegramWorld, chat_id: int, user_id: int, language: str) -> Json:
    """Who and what is in a chat, and what the bot offers this person there.

    A chat nobody opened yet looks like a private one without messages.
    """
    chat = world.chats.get(chat_id)
    texts = {
        "description": text_for(world, "description", language),
        "short_description": text_for(world, "short_description", language),
    }
    if chat is None:
        return texts | {
            "title": "",
            "members": [],
            "topics": [],
            "has_topics": False,
            "drafts": [],
            "pinned": None,
            "blocked": False,
            "left": False,
            "commands": world.commands.get(("default", language))
            or world.commands.get(("default", ""), []),
            "menu_button": world.menu_button,
        }
    topics = [
        {"thread_id": t.thread_id, "name": t.name, "icon_color": t.icon_color, "closed": t.closed}
        for t in chat.topics.values()
    ]
    return texts | {
        "title": chat.info.get("title", ""),
        "members": [user["first_name"] for user in chat.members.values()],
        "topics": topics,
        "has_topics": world.has_topics(chat) and bool(topics),
        "drafts": [
            draft_to_view(draft, world.clock())
            for draft in live_drafts(chat, world.clock()).values()
        ],
        "pinned": chat.pinned[-1] if chat.pinned else None,
        "blocked": chat.blocked,
        "left": chat.left,
        "commands": commands_for(world, chat, user_id, language),
        "menu_button": chat.menu_button or world.menu_button,
    }
