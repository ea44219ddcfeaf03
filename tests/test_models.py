"""Plain data and pure rules, without a database."""

import sqlite3

import pytest
from fakes import a_job
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import JobRefused
from bridge.models import (
    BACKOFF_MAX_S,
    PROMPT_CHARS_MAX,
    Job,
    JobStatus,
    NewJob,
    check_new,
    clean_text,
    retry_delay_s,
    short,
)

JITTER = st.floats(0, 1)


def test_only_done_failed_and_cancelled_are_final() -> None:
    final = {status for status in JobStatus if status.final}

    assert final == {JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED}


def test_status_words_are_the_contract() -> None:
    words = "pending scheduled blocked running waiting done failed cancelled"

    assert " ".join(JobStatus) == words


def test_row_becomes_a_job_and_unknown_columns_are_left_out() -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute(
        "SELECT 3 AS id, '7' AS chat_id, 'Sing' AS prompt, 'done' AS status, 9 AS of_a_newer_kitt"
    ).fetchone()
    connection.close()

    job = Job.from_row(row)

    assert job == Job(id=3, chat_id="7", prompt="Sing", status=JobStatus.DONE)


def test_name_is_the_title_or_else_the_beginning_of_the_prompt() -> None:
    job = Job(id=1, chat_id="7", prompt="Sing\na song " + "la " * 50, status=JobStatus.PENDING)
    titled = Job(id=1, chat_id="7", prompt="x", status=JobStatus.PENDING, title="Singing")

    assert job.name.startswith("Sing a song la la")
    assert len(job.name) <= 60
    assert titled.name == "Singing"


@pytest.mark.parametrize("prompt", ["", "  \n", "\x00", "\x00 \x00"])
def test_job_without_a_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(JobRefused, match="needs a prompt"):
        check_new(a_job(prompt=prompt))


def test_too_long_prompt_is_refused_with_both_lengths() -> None:
    check_new(a_job(prompt="x" * PROMPT_CHARS_MAX))

    with pytest.raises(JobRefused, match=r"has 200,001 characters and at most 200,000"):
        check_new(a_job(prompt="x" * (PROMPT_CHARS_MAX + 1)))


def test_job_without_a_chat_is_refused() -> None:
    with pytest.raises(JobRefused, match="needs a chat_id"):
        check_new(NewJob(chat_id=" ", prompt="Sing"))


def test_data_that_is_no_json_is_refused() -> None:
    check_new(a_job(data='{"url": "https://example.com"}'))

    with pytest.raises(JobRefused, match="must be JSON"):
        check_new(a_job(data="{url}"))


@pytest.mark.parametrize("data", ["[" * 60_000, '{"a":' * 60_000])
def test_data_that_is_nested_too_deeply_is_refused(data: str) -> None:
    with pytest.raises(JobRefused, match="The data of a job is nested too deeply"):
        check_new(a_job(data=data))


@pytest.mark.parametrize("kind", ["*", "", "a/b", "Web", "1st", "ë", "a\n", "x" * 31, "x" * 5000])
def test_kind_that_no_worker_could_be_told_is_refused(kind: str) -> None:
    check_new(a_job(kind="x" * 30))

    with pytest.raises(JobRefused, match="cannot be a kind: take at most 30 of a-z") as refusal:
        check_new(a_job(kind=kind))

    assert len(str(refusal.value)) < 130


@pytest.mark.parametrize("key", ["", " "])
def test_empty_key_is_refused(key: str) -> None:
    with pytest.raises(JobRefused, match="The key of a job must not be empty"):
        check_new(a_job(unique_key=key))


def test_short_keeps_one_line_and_cuts_with_an_ellipsis() -> None:
    assert short(" two\n words ", 9) == "two words"
    assert short("two words", 8) == "two wor…"
    assert short("two words", 5) == "two…"


@given(text=st.text(), chars_max=st.integers(1, 40))
def test_short_is_never_longer_than_asked(text: str, chars_max: int) -> None:
    line = short(text, chars_max)

    assert len(line) <= chars_max
    assert "\n" not in line


@given(text=st.text(st.characters(codec=None)))
def test_clean_text_survives_the_database_unchanged(text: str) -> None:
    clean = clean_text(text)
    connection = sqlite3.connect(":memory:")

    (back, length) = connection.execute("SELECT ?1, length(?1)", (clean,)).fetchone()
    connection.close()

    assert back == clean
    assert length == len(clean)


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_clean_text_leaves_proper_text_alone(text: str) -> None:
    assert clean_text(text) == text


def test_backoff_is_two_four_and_eight_seconds() -> None:
    delays = [retry_delay_s(failures, jitter=0) for failures in (1, 2, 3)]

    assert delays == [2.0, 4.0, 8.0]


@given(jitter=JITTER, failures=st.integers(1, 6))
def test_jitter_adds_a_quarter_at_most(jitter: float, failures: int) -> None:
    base_s = retry_delay_s(failures, jitter=0)

    assert base_s <= retry_delay_s(failures, jitter=jitter) <= base_s * 1.25


@given(jitter=JITTER, failures=st.integers(12, 10_000))
def test_backoff_of_a_job_that_may_fail_very_often_stays_within_reach(
    jitter: float, failures: int
) -> None:
    assert BACKOFF_MAX_S <= retry_delay_s(failures, jitter=jitter) <= BACKOFF_MAX_S * 1.25
