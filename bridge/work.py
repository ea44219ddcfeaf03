"""What every job of a worker needs; a module of its own, so that an idle worker loads no tools."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.agent.model import Model
from bridge.clock import Clock
from bridge.kinds.registry import Kinds
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.tools.chromium import Chromium


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every job needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    settings: Settings
    kinds: Kinds
    outgoing: Outgoing = field(default_factory=Outgoing)

    @cached_property
    def chromium(self) -> "Chromium":
        """The one browser of this process."""
        from bridge.tools.chromium import Chromium

        return Chromium(sandbox=self.settings.browser_sandbox)
