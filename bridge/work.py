"""What every job of a worker needs; a module of its own, so that an idle worker loads no tools."""

from dataclasses import dataclass, field

from bridge.agent.model import Model
from bridge.clock import Clock
from bridge.kinds.registry import Kinds
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.tools.chromium import Chromium


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every job needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    settings: Settings
    kinds: Kinds
    outgoing: Outgoing = field(default_factory=Outgoing)
    chromium: Chromium = field(default_factory=Chromium)
