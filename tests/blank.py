"""An empty database as KITT makes it, made once in a process and copied for every test."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.database_file import open_database
from bridge.migrate import migrate, migrations


def lay(path: Path) -> None:
    """Put one there, where none is yet: a copy costs a hundredth of what the migrations do."""
    if not path.exists():
        path.write_bytes(_made())
        path.chmod(0o600)


@cache
def _made() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kitt.db"
        path.touch()
        connection = open_database(path, mode="rw", timeout_s=1.0, gate_fd=None)
        migrate(connection, path, migrations())
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        return path.read_bytes()
