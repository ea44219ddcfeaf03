"""The `kitt` command: the composition root, the only part that sees everything.

Imports of what a command needs happen when it runs: `kitt queue list` costs neither the Telegram
nor the model library. Whatever goes wrong on purpose ends as one line on standard error and an exit
code: 78 for a wrong setting, 75 where waiting helps, 1 otherwise.
"""

import argparse
import asyncio
import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bridge import __version__
from bridge import cli_words as words
from bridge.errors import ConfigError, KittError
from bridge.settings import VARIABLES, Settings

Action = Callable[[argparse.Namespace], int]
PROGRAMS: Final = (["bridge"], ["worker"])  # they stay: a megabyte less without the other commands
_CANNOT_BE_WRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _open_closed_streams()
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `kitt logs | head`
        _end_output()
        return 0
    except OSError as error:
        if error.errno not in _CANNOT_BE_WRITTEN or error.filename is not None:
            raise
        _end_output()
        print(
            f"kitt: The output cannot be written ({error.strerror}): what was done stands.",
            file=sys.stderr,
        )
        return 1


def _end_output() -> None:
    """What is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """After `kitt … >&-` the next file that is opened would be taken for the output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = Path(os.devnull).open(mode)  # noqa: SIM115 - gets the lowest number: that one
            setattr(sys, name, nothing)


def _run(argv: Sequence[str] | None) -> int:
    said = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(programs_only=said[:1] in PROGRAMS).parse_args(said)
    try:
        return int(arguments.action(arguments))
    except KittError as error:
        print(f"kitt: {error}", file=sys.stderr)
        if isinstance(error, ConfigError) and getattr(arguments, "supervised", False):
            from bridge.process import outlast_start_check

            outlast_start_check()
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser(*, programs_only: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kitt",
        description="A personal assistant in Telegram that never makes you wait.",
        epilog="First time? `make demo` shows everything without an account; `kitt setup` connects "
        "your bot; `kitt up` runs it.",
    )
    parser.add_argument("--version", action="version", version=f"kitt {__version__}")
    parser.set_defaults(action=partial(_help, parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_programs(commands)
    if not programs_only:
        _add_commands(commands)
    return parser


def _add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from bridge.cli_backup import add_backup_commands
    from bridge.cli_queue import add_queue_commands
    from bridge.cli_schedule import add_schedule_commands

    _add_supervision(commands)
    add_backup_commands(commands)
    add_queue_commands(commands)
    add_schedule_commands(commands)


def _help(parser: argparse.ArgumentParser, _arguments: argparse.Namespace) -> int:
    parser.print_help()
    return 0


def _add_programs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    variables = "\n".join(
        f"  {name:<26}{meaning}{f' ({default})' if default else ''}"
        for name, (default, meaning) in VARIABLES.items()
    )
    settings = f"settings, from the environment or .env (the environment wins):\n{variables}"
    raw = argparse.RawDescriptionHelpFormatter
    bridge = commands.add_parser(
        "bridge",
        help="the process that speaks Telegram, in the foreground",
        formatter_class=raw,
        epilog=settings,
    )
    bridge.add_argument("--supervised", action="store_true", help="end when supervisord ends")
    bridge.set_defaults(action=_bridge)
    worker = commands.add_parser(
        "worker",
        help="one process that works on jobs, in the foreground",
        formatter_class=raw,
        epilog=settings,
    )
    worker.add_argument("--slot", type=words.number, default=1, metavar="N", help="its number (1)")
    worker.add_argument(
        "--kinds", type=words.kinds, default=(), metavar="K,…", help="take jobs of these kinds only"
    )
    worker.add_argument("--supervised", action="store_true", help="end when supervisord ends")
    worker.set_defaults(action=_worker)
    setup = commands.add_parser("setup", help="ask for token and key, check them, write .env")
    setup.add_argument(
        "--non-interactive", action="store_true", help="take what the environment has"
    )
    setup.set_defaults(action=_setup)
    doctor = commands.add_parser("doctor", help="look for what is wrong and say what to do")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(action=_doctor)
    demo = commands.add_parser("demo", help="the whole story with no account and no network")
    demo.add_argument("--once", action="store_true", help="end after the story")
    demo.add_argument("--port", type=words.port, default=8765, help="of the chat page (8765)")
    demo.set_defaults(action=_demo)
    prove = commands.add_parser(
        "prove", help="kill every process again and again, and look whether anything was lost"
    )
    prove.add_argument("--kills", type=words.count, default=200, metavar="N", help="deaths (200)")
    prove.add_argument(
        "--seed", type=words.number, metavar="S", help="draw the same lots as then (new)"
    )
    prove.add_argument("--json", action="store_true", help="print JSON")
    prove.set_defaults(action=_prove)


def _add_supervision(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser("up", help="run bridge and workers under supervisord, until Ctrl-C")
    up.add_argument("-d", "--detach", action="store_true", help="go to the background")
    up.set_defaults(action=_up)
    down = commands.add_parser("down", help="let jobs finish or go back, then end everything")
    down.set_defaults(action=_down)
    status = commands.add_parser("status", help="processes, memory, jobs")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(action=_status)
    logs = commands.add_parser("logs", help="what the processes wrote")
    logs.add_argument("name", nargs="?", help="bridge, worker-1, … (all)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    logs.add_argument("-n", "--lines", type=words.count, default=20, help="per process (20)")
    logs.set_defaults(action=_logs)
    for name, text in (("start", "start"), ("stop", "stop"), ("restart", "drain and start again")):
        command = commands.add_parser(name, help=f"{text} processes")
        command.add_argument("names", nargs="*", help="bridge, worker-1, workers, … (all)")
        if name == "restart":
            command.add_argument("--rolling", action="store_true", help="one after the other")
        command.set_defaults(action=_control, command=name)
    scale = commands.add_parser("scale", help="change the number of workers, touching no other")
    scale.add_argument(
        "workers", type=words.workers, metavar="N|KIND=N", help="such as 4 or browser=2"
    )
    scale.set_defaults(action=_scale)
    startup = commands.add_parser("startup", help="print a systemd unit that runs KITT from boot")
    startup.set_defaults(action=_startup)


def _bridge(arguments: argparse.Namespace) -> int:
    from bridge.programs import run_bridge

    return asyncio.run(run_bridge(Settings.load(), arguments.supervised))


def _worker(arguments: argparse.Namespace) -> int:
    from bridge.programs import run_worker

    if not 1 <= arguments.slot <= 999:
        raise ConfigError("--slot must be from 1 to 999.")
    return asyncio.run(
        run_worker(Settings.load(), arguments.slot, arguments.supervised, arguments.kinds)
    )


def _setup(arguments: argparse.Namespace) -> int:
    from bridge import setup

    interactive = sys.stdin.isatty() and not arguments.non_interactive
    return setup.run(os.environ, env_file=Path(".env"), interactive=interactive)


def _doctor(arguments: argparse.Namespace) -> int:
    from bridge import doctor

    return doctor.run(None, env_file=Path(".env"), as_json=arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    from bridge.emulator.demo import run

    once = arguments.once or not sys.stdin.isatty()
    return asyncio.run(run(once=once, port=arguments.port))


def _prove(arguments: argparse.Namespace) -> int:
    from bridge.prove.run import run

    return asyncio.run(run(kills=arguments.kills, seed=arguments.seed, as_json=arguments.json))


def _up(arguments: argparse.Namespace) -> int:
    from bridge import supervision

    settings = Settings.load()
    settings.need_token()
    settings.need_key()
    asyncio.run(_look_into(settings))
    return supervision.up(settings, daemon=arguments.detach)


async def _look_into(settings: Settings) -> None:
    """Refuse a database nobody could work with before anything is started."""
    from bridge.process import prepare_folders
    from bridge.store import Store

    prepare_folders(settings)
    store = await Store.open(settings.database, settings.run_dir, check=True)
    await store.close()


def _down(_arguments: argparse.Namespace) -> int:
    from bridge import supervision

    return supervision.down(Settings.load())


def _status(arguments: argparse.Namespace) -> int:
    from bridge.cli_status import print_status

    return print_status(Settings.load(), as_json=arguments.json)


def _logs(arguments: argparse.Namespace) -> int:
    from bridge import supervision

    return supervision.logs(
        Settings.load(), arguments.name, follow=arguments.follow, lines=arguments.lines
    )


def _control(arguments: argparse.Namespace) -> int:
    from bridge import supervision

    settings = Settings.load()
    names = arguments.names
    if arguments.command == "restart":
        code = supervision.restart(settings, names, rolling=arguments.rolling)
    else:
        act = supervision.start if arguments.command == "start" else supervision.stop
        code = act(settings, names)
    past = {"start": "started", "stop": "stopped", "restart": "started again"}
    print(f"{', '.join(names) or 'Everything'}: {past[arguments.command]}.")
    return code


def _scale(arguments: argparse.Namespace) -> int:
    from bridge import supervision

    kind, number = arguments.workers
    code = supervision.scale(Settings.load(), number, kind=kind)
    print(f"Workers{f' for {kind}' if kind else ''} now: {number}.")
    return code


def _startup(_arguments: argparse.Namespace) -> int:
    from bridge import startup

    return startup.print_unit(Settings.load())
