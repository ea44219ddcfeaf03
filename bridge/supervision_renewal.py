"""Every worker anew, one after another, while the others go on: what `/restart` does with them."""

import asyncio
from functools import partial
from typing import Any, Final

from bridge.clock import Clock
from bridge.errors import KittError
from bridge.settings import Settings
from bridge.supervision_status import NOT_RUNNING, Refused, call

RENEWED_S: Final = 40.0  # a worker drains in less than 25 s, and starts in a second or two
LOOK_S: Final = 0.2


async def renew_workers(settings: Settings, clock: Clock) -> None:
    """Each worker drains and ends, and supervisord starts it again; then the next one.

    Raises: NotRunning without a supervisord; KittError when one does not come back.
    """
    for name, pid in (await _started(settings, clock)).items():
        try:
            await _call(settings, "supervisor.signalProcess", name, "TERM")
        except Refused as fault:
            if fault.code != NOT_RUNNING:  # else it is being started already
                raise
        await _until_renewed(settings, clock, name, pid)


async def _until_renewed(settings: Settings, clock: Clock, name: str, old_pid: int) -> None:
    end = clock.monotonic() + RENEWED_S
    while clock.monotonic() < end:
        if (await _workers(settings)).get(name, old_pid) != old_pid:
            return
        await clock.sleep(LOOK_S)
    raise KittError(f"{name} was not started again within {RENEWED_S:.0f} s: see `kitt logs`.")


async def _started(settings: Settings, clock: Clock) -> dict[str, int]:
    """The pids of the workers that run, once none is in its first second.

    supervisord would count the end of such a one as a start that failed.
    """
    end = clock.monotonic() + RENEWED_S
    while await _workers(settings, "STARTING") and clock.monotonic() < end:
        await clock.sleep(LOOK_S)
    return await _workers(settings)


async def _workers(settings: Settings, state: str = "RUNNING") -> dict[str, int]:
    """The pids of the workers in a state of supervisord."""
    infos = await _call(settings, "supervisor.getAllProcessInfo")
    return {
        info["name"]: info["pid"]
        for info in infos
        if info["name"].startswith("kitt-worker-") and info["statename"] == state
    }


async def _call(settings: Settings, method: str, *arguments: Any) -> Any:
    return await asyncio.to_thread(partial(call, settings, method, *arguments))
