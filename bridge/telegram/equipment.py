"""What every answer needs; made once."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bridge.agent.model import Model
from bridge.agent.outcome import Limits
from bridge.agent.providers import provider_of
from bridge.agent.tool import Tool
from bridge.budgets import Budgets, Purse
from bridge.clock import Clock
from bridge.kinds import Kind
from bridge.memory import Note
from bridge.personas import Persona, persona_named
from bridge.profile import main_prompt
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.gate import Incoming
from bridge.telegram.memory_commands import MemoryCommands
from bridge.telegram.schedule_commands import ScheduleCommands
from bridge.tools.memory import chat_memory_tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks in one answer; `sees`: the model takes pictures and PDF files."""

    system: str
    model_name: str
    sees: bool
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What every answer needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    model_name: str
    budgets: Budgets
    settings: Settings
    prompt: str  # of KITT
    background_words: re.Pattern[str] | None = None  # of skills that always take it
    files_dir: Path
    kinds: tuple[Kind, ...]  # of the profile, as they were when the bridge started
    signer: Signer
    schedules: ScheduleCommands
    notes: MemoryCommands
    chosen: Chosen
    is_owner: Callable[[Incoming], bool]
    admits: Callable[[Incoming], bool]  # still: who asks may be shut out while it is answered
    compact: Callable[[str], None]  # a conversation that may have become long

    def purse(self, conversation: str, user_id: str) -> Purse:
        """The money for one answer."""
        return Purse(
            self.budgets,
            store=self.queue.store,
            clock=self.clock,
            conversation=conversation,
            user_id=user_id,
        )

    def voice(self, chat_id: str) -> Voice:
        """Who speaks in a chat, and what is kept of it."""
        chosen = self.chosen.of(chat_id).persona
        persona = persona_named(self.settings.profile, chosen) if chosen else None
        model_name = (
            persona.model_for(self.settings, self.model_name) if persona else self.model_name
        )
        told = [
            main_prompt(self.settings.profile, persona.prompt) if persona else self.prompt,
            self.notes.of(chat_id).block(),
        ]
        return Voice(
            system="\n\n".join(filter(None, told)),
            model_name=model_name,
            sees=provider_of(self.settings, model_name).images,
            limits=limits_of(persona),
        )

    def memory_tools(self, item: Incoming, source: str) -> list[Tool]:
        """Those of an answer to this message."""
        where: dict[str, Any] = {
            "chat_id": item.chat_id,
            "thread_id": item.thread_id,
            "language": item.language,
        }

        async def show(note: Note) -> None:
            tell = partial(self.notes.tell, note=note, source=source, **where)
            await self.queue.store.write(tell)

        may_change = not item.in_group or self.is_owner(item)
        return chat_memory_tools(self.notes.of(item.chat_id), show, may_change=may_change)


def limits_of(persona: Persona | None) -> Limits:
    """Those of an answer, unless a persona has its own."""
    if persona is None:
        return Limits()
    usual = Limits().max_tokens
    return Limits(max_tokens=persona.max_tokens or usual, effort=persona.effort)
