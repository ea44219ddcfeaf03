"""The statements of sql/: each fits the schema and says what it is for."""

import re
import sqlite3
from dataclasses import fields
from pathlib import Path

from bridge.migrate import migrate, migrations
from bridge.models import Job
from bridge.store import statements

# A table that grows with time is read whole, and by no index.
LARGE = re.compile(r"SCAN (jobs|mine|parent|deliveries|inbox|messages|job_events|usage|job_files)")
ASKED_ALL_THE_TIME = (
    *("claimable", "next_look_at", "promote_due", "closed_kinds", "head_of_line", "best_of_lanes"),
    *("best_alone", "first_of", "least_busy", "take_job", "load", "heartbeat", "held", "holds"),
    *("progress_job", "finish_job", "fail_job", "give_back_job", "orphans", "rescue_job"),
    *("stranded", "unblock_job", "unblock", "waiting_for", "ask_job", "worker_claimed"),
    *(
        "insert_job",
        "live_job_by_key",
        "live_jobs_of",
        "jobs_before",
        "cancel_job",
        "job_by_source",
    ),
    *("events_of", "files_of", "new_updates", "messages_of", "spent_in_conversation", "tool_call"),
    *("open_lanes", "next_delivery", "hold_lane", "release_lane", "count_owed", "open_cards"),
    *("job_of_message", "note_job_message", "last_event_at", "last_steps", "open_parents_of"),
    *("live_counts", "ended_counts", "live_page", "ended_page", "fold_card", "raise_job"),
    *("spent_in_chat", "spent_on_jobs", "spent_by_model", "dearest_jobs"),
    *("counted_in_conversation", "counted_since", "counted_for_user_since"),
    *("schedules_due", "next_schedule_at", "drop_job", "next_chat", "surplus_end", "breaker"),
)


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


def test_no_statement_that_is_asked_all_the_time_reads_a_whole_table() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("kitt.db"), migrations())
    slow = []

    for name in ASKED_ALL_THE_TIME:
        statement = statements()[name]
        values = dict.fromkeys(re.findall(r":(\w+)", statement))
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        slow += [f"{name}: {row[3]}" for row in plan if LARGE.fullmatch(row[3])]
    connection.close()

    assert slow == []


def test_a_job_that_is_shown_has_every_field_of_a_job() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("kitt.db"), migrations())

    shown = connection.execute(statements()["job_to_show"], {"id": 1, "chars": 1}).description
    connection.close()

    assert {column[0] for column in shown} == {field.name for field in fields(Job)}


def test_every_statement_says_in_prose_what_it_is_for() -> None:
    silent = [name for name, text in statements().items() if not text.startswith("-- ")]

    assert silent == []
