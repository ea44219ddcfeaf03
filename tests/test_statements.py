"""The statements of sql/: each fits the schema and says what it is for."""

import re
import sqlite3
from pathlib import Path

from bridge.migrate import migrate, migrations
from bridge.store import statements


def test_every_statement_fits_the_schema() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("kitt.db"), migrations())

    for name, statement in statements().items():
        values = dict.fromkeys(re.findall(r":(\w+)", statement))
        try:
            connection.execute(f"EXPLAIN {statement}", values)
        except sqlite3.Error as error:
            raise AssertionError(f"{name}: {error}") from error
    connection.close()


def test_every_statement_says_in_prose_what_it_is_for() -> None:
    silent = [name for name, text in statements().items() if not text.startswith("-- ")]

    assert silent == []
