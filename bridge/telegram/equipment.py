"""What every answer needs; made once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge.agent.model import Model
from bridge.agent.tool import Tool
from bridge.budgets import Budgets, Purse
from bridge.clock import Clock
from bridge.kinds import Kind
from bridge.queue import Queue
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.gate import Incoming
from bridge.telegram.memory_commands import MemoryCommands
from bridge.telegram.schedule_commands import ScheduleCommands
from bridge.tools.memory import chat_memory_tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What every answer needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    model_name: str
    budgets: Budgets
    prompt: str
    sees: bool  # does the model take pictures and PDF files?
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

    def system(self, chat_id: str) -> str:
        """The system prompt of a chat: everyone's, and what is kept of it."""
        return "\n\n".join(filter(None, (self.prompt, self.notes.of(chat_id).block())))

    def memory_tools(self, item: Incoming, source: str) -> list[Tool]:
        """Those of an answer to this message."""
        show = partial(
            self.notes.tell,
            chat_id=item.chat_id,
            thread_id=item.thread_id,
            source=source,
            language=item.language,
        )
        return chat_memory_tools(self.notes.of(item.chat_id), show)
