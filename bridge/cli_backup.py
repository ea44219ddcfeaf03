"""`kitt backup` and `kitt restore`: the commands; what they do is in backup.py."""

import argparse
import asyncio
from pathlib import Path

from bridge.settings import Settings


def add_backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `kitt backup` and `kitt restore`."""
    backup = commands.add_parser(
        "backup", help="copy what cannot be made again into one file, while KITT runs"
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="such as kitt-2026-11-22.tar")
    backup.add_argument("--force", action="store_true", help="replace FILE")
    backup.set_defaults(action=_backup)
    restore = commands.add_parser("restore", help="put a backup in place")
    restore.add_argument("file", type=Path, metavar="FILE", help="what `kitt backup` wrote")
    restore.set_defaults(action=_restore)


def _backup(arguments: argparse.Namespace) -> int:
    from bridge.backup import backup
    from bridge.clock import Clock

    settings = Settings.load()
    copy = asyncio.run(backup(settings, arguments.file, force=arguments.force, clock=Clock()))
    print(
        f"{copy.path}: {copy.megabytes:,.1f} MB, {copy.jobs:,} jobs, {copy.files:,} files, "
        f"{copy.seconds:.1f} s."
    )
    print(
        "Not in it: .env with the keys and tokens, and what jobs have in their folders unfinished."
    )
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from bridge.archive import SET_ASIDE
    from bridge.backup import restore
    from bridge.clock import Clock

    settings = Settings.load()
    copy, kept = restore(settings, arguments.file, clock=Clock())
    print(
        f"{copy.path}: {copy.megabytes:,.1f} MB, {copy.jobs:,} jobs, {copy.files:,} files, "
        f"{copy.seconds:.1f} s."
    )
    if copy.set_aside:
        print(f"{copy.set_aside:,} files differed: they are kept beside, as *{SET_ASIDE}….")
    if kept is not None:
        print(f"What was there before is {kept}.")
    print(
        "Messages and results from after the backup are not in it, and what was sent since may be "
        "sent again."
    )
    return 0
