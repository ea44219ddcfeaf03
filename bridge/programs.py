"""The two long-running programs: what they open, how they start and how they end."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from bridge import keeper, logs
from bridge.agent.fallback import model_of
from bridge.breaker import Breaker
from bridge.budgets import release_held
from bridge.clock import Clock
from bridge.errors import NewerSchema
from bridge.process import CrashBackoff, SlotLock, die_with_parent, prepare_folders
from bridge.queue import Queue
from bridge.settings import Secret, Settings
from bridge.store import Store
from bridge.watchdog import guarded_loop, watch_memory

BUSY_TIMEOUT_S: Final = 60.0  # a backup or a shell may hold the file; waiting loses nothing
SLOT_WAIT_S: Final = 5.0  # a predecessor that is still ending
END_S: Final = 10.0  # for what was cancelled


async def run_bridge(settings: Settings, supervised: bool) -> int:
    """The process that speaks Telegram, until SIGTERM."""
    settings.need_token()
    settings.need_key()
    run = partial(_bridge, supervised=supervised)
    return await _guarded("bridge", settings, supervised, run)


async def run_worker(
    settings: Settings, slot: int, supervised: bool, kinds: tuple[str, ...] = ()
) -> int:
    """One process that works on jobs, until SIGTERM. It needs no bot token.

    `kinds` are those of the jobs it takes; none means all but those that have workers of their own.
    """
    settings.need_key()
    # .env may hold them; they have no use here
    settings = replace(settings, telegram_token=Secret(""), transcriber_key=Secret(""))
    name = "-".join(["worker", *(["+".join(kinds)] if kinds else []), str(slot)])

    async def work(settings: Settings, store: Store, clock: Clock) -> None:
        await _worker(settings, store, clock, name, kinds)

    return await _guarded(name, settings, supervised, work)


async def _guarded(
    name: str,
    settings: Settings,
    supervised: bool,
    program: Callable[[Settings, Store, Clock], Coroutine[Any, Any, None]],
) -> int:
    """Logs, folders, one process per slot, a guard, a pause after crashes, the database."""
    if supervised:
        die_with_parent(settings)
    logs.configure(settings.secrets, level=logging.INFO)
    prepare_folders(settings)
    clock = Clock()
    with (
        SlotLock(settings.run_dir / f"{name}.lock", wait_s=SLOT_WAIT_S if supervised else 0.0),
        CrashBackoff(settings.run_dir / f"{name}.crashes", clock) as backoff,
    ):
        async with guarded_loop(name, settings.run_dir, clock):
            await clock.sleep(backoff.pause_s)
            store = await Store.open(
                settings.database,
                settings.run_dir,
                check=name == "bridge",
                busy_timeout_s=BUSY_TIMEOUT_S,
            )
            try:
                await _with_keeper(program(settings, store, clock), settings, store, clock)
            finally:
                await store.close()
    return 0


async def _with_keeper(
    program: Coroutine[Any, Any, None], settings: Settings, store: Store, clock: Clock
) -> None:
    """The program and, as long as it runs, its keeper.

    Raises: NewerSchema when the database is upgraded meanwhile, whatever the program makes of it.
    """
    running = asyncio.create_task(program)
    outdated = asyncio.create_task(store.outdated.wait())
    keeping = asyncio.create_task(keeper.of_program(settings, store, clock).run())
    try:
        tasks = {running, outdated, keeping}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            await keeping  # it never ends but by a defect: a program without it must not go on
        if not running.done():
            raise NewerSchema("The database was upgraded: this program ends, to start as the new.")
        await running
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_S)


async def _bridge(settings: Settings, store: Store, clock: Clock, *, supervised: bool) -> None:
    from bridge.supervision_renewal import renew_workers
    from bridge.telegram.app import Bridge

    model = model_of(settings)
    renew = partial(renew_workers, settings, clock) if supervised else None
    bridge = Bridge(settings=settings, store=store, model=model, clock=clock, renew=renew)
    _on_signals(bridge.stop)
    try:
        await bridge.run()
    finally:
        await model.close()


async def _worker(
    settings: Settings, store: Store, clock: Clock, name: str, kinds: tuple[str, ...]
) -> None:
    from bridge.agent.guarded import GuardedModel
    from bridge.kinds.registry import Kinds
    from bridge.work import Work
    from bridge.worker import Worker

    model = GuardedModel(model_of(settings), Breaker(store, clock, settings.owners))
    work = Work(
        queue=Queue(
            store=store,
            clock=clock,
            lease_s=settings.lease_s,
            chat_concurrency=settings.chat_concurrency,
        ),
        model=model,
        clock=clock,
        settings=settings,
        kinds=Kinds(settings.profile),
    )
    worker = Worker(
        work=work,
        slot=name,
        concurrency=settings.worker_concurrency,
        kinds=kinds,
        except_kinds=() if kinds else tuple(settings.kind_workers),
    )
    _on_signals(worker.drain)
    await store.write(lambda tx: release_held(tx, clock), durable=False)
    watching = asyncio.create_task(
        watch_memory(clock, settings.worker_memory_mb, worker.drain_soon)
    )
    try:
        await worker.run()
    finally:
        watching.cancel()
        await model.close()


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
