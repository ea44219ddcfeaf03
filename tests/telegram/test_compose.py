"""What answers, results, failures and cards look like, before anything is sent."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.models import Job, JobStatus
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.render import utf16_length
from bridge.telegram.texts import LANGUAGES, say

SIGNER = Signer("123456789:" + "A" * 35)
JOB = Job(
    id=12,
    chat_id="7",
    prompt="Count the pelicans",
    status=JobStatus.PENDING,
    title="Pelicans",
    acknowledgement="I count them.",
    request_message_id=5,
)


def a_job(**changes: Any) -> Job:
    return replace(JOB, **changes)


def card(language: str = "en", *, elapsed_s: float = 0, before: int = 0, **changes: Any) -> str:
    return compose.card_text(
        a_job(**changes), language=language, elapsed_s=elapsed_s, before=before
    )


def parts(markdown: str, **changes: Any) -> list[compose.Part]:
    return compose.text_parts(markdown, language="en", file_name="kitt.md", **changes)


def words(count: int) -> str:
    return " ".join(f"pelican{n}" for n in range(count))


def test_a_short_text_is_one_message_that_rings() -> None:
    assert parts("**Hello**", reply_to=5) == [
        {
            "do": "text",
            "text": "Hello",
            "entities": [{"type": "bold", "offset": 0, "length": 5}],
            "silent": False,
            "reply_to": 5,
        }
    ]


def test_of_a_long_text_only_the_last_message_rings_and_only_the_first_replies() -> None:
    made = parts(words(1_000), reply_to=5)

    assert [part["silent"] for part in made] == [True, True, False]
    assert [part.get("reply_to") for part in made] == [5, None, None]


def test_three_messages_are_the_most_and_a_longer_text_is_a_file() -> None:
    text = "\n\n".join(f"Paragraph {n}. {words(20)}" for n in range(80))

    beginning, file = parts(text)

    assert beginning["text"].endswith("The whole answer is in the file.")
    assert beginning["text"].startswith("Paragraph 0.")
    assert len(beginning["text"]) < 1_400
    assert file == {"do": "document", "name": "kitt.md", "content": text}


@pytest.mark.parametrize("text", [words(900), "🦩" * 5_000, "a" * 9_000, "é\n" * 3_000])
def test_a_message_leaves_room_for_the_line_that_it_may_be_a_repeat(text: str) -> None:
    longest = max(utf16_length(part["text"]) for part in parts(text))
    mark = max(utf16_length(f"{say(language, 'repeated')}\n") for language in LANGUAGES)

    assert longest + mark <= 4_096


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_an_empty_text_is_still_something_to_send(text: str) -> None:
    made = parts(text)

    assert all(part["do"] != "text" or part["text"].strip() for part in made)


def test_a_huge_text_is_not_rendered_whole() -> None:
    beginning, file = parts("a" * 1_000_000)

    assert len(beginning["text"]) < 1_400
    assert len(file["content"]) == 1_000_000


def test_a_result_replies_to_the_request_and_its_files_follow() -> None:
    files = [
        {"path": "report.md", "name": "report.md", "caption": "All of it"},
        {"path": "map.PNG", "name": "map.PNG", "caption": ""},
    ]

    made = compose.result_parts(a_job(result="Three."), files, language="en")

    assert [part["do"] for part in made] == ["text", "document", "photo"]
    assert (made[0]["text"], made[0]["reply_to"]) == ("Three.", 5)
    assert (made[1]["job"], made[1]["path"], made[1]["caption"]) == (12, "report.md", "All of it")


def test_a_failure_says_what_and_why_and_offers_another_try() -> None:
    failed = a_job(status=JobStatus.FAILED, failures=3, error="error: KeyError")

    (part,) = compose.failure_parts(failed, SIGNER, language="en")

    assert (
        part["text"]
        == "❌ #12 failed (3 attempts) · Pelicans\n\nCause: an unexpected error (KeyError)"
    )
    assert not part["silent"]
    assert [button["text"] for button in part["buttons"][0]] == ["↻ Try again", "📋 Details"]


def test_a_failure_at_the_first_attempt_counts_no_attempts() -> None:
    failed = a_job(status=JobStatus.FAILED, failures=1, error="refused: no")

    (part,) = compose.failure_parts(failed, SIGNER, language="nl")

    assert part["text"].startswith("❌ #12 mislukt · Pelicans")
    assert "Oorzaak: het model wijst deze opdracht af (no)" in part["text"]


@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("en", "Answer here and the job goes on."),
        ("nl", "Antwoord hier, dan gaat de taak verder."),
    ],
)
def test_a_question_says_which_job_asks_and_what_to_do(language: str, how: str) -> None:
    waiting = a_job(status=JobStatus.WAITING, question="Which **bank**?")

    (part,) = compose.question_parts(waiting, language=language)

    assert part["text"] == f"❓ #12 · Pelicans\n\nWhich bank?\n\n{how}"
    assert (part["do"], part["silent"], part["reply_to"]) == ("text", False, 5)


def test_a_question_of_any_length_can_be_sent() -> None:
    waiting = a_job(status=JobStatus.WAITING, question=words(5_000))

    beginning, file = compose.question_parts(waiting, language="en")

    assert beginning["text"].startswith("❓ #12 · Pelicans")
    assert (file["do"], file["name"]) == ("document", "kitt-12.md")


def test_a_card_in_the_queue_tells_how_many_go_before() -> None:
    assert card() == "I count them.\n\n🛠 #12 · Pelicans\n⏳ In the queue · just go on chatting"
    assert "⏳ In de wachtrij (3 voor je) · praat gewoon door" in card("nl", before=3)


def test_a_card_of_running_work_shows_bar_step_and_time() -> None:
    text = card(status=JobStatus.RUNNING, progress=41.0, step="Reading", elapsed_s=108)

    assert text.split("\n")[2:] == ["🛠 #12 · Pelicans", "▰▰▰▰▱▱▱▱▱▱ 41 %", "⚙️ Reading", "⏱ 1:48"]


def test_a_card_without_progress_has_no_bar() -> None:
    assert "▱" not in card(status=JobStatus.RUNNING)


def test_a_card_tells_that_it_is_another_attempt() -> None:
    assert "🔁 attempt 2 of 3" in card(status=JobStatus.RUNNING, failures=1)


def test_a_card_tells_how_many_tokens_were_used() -> None:
    running = a_job(status=JobStatus.RUNNING)
    text = compose.card_text(running, language="en", elapsed_s=0, tokens=31_400)

    assert "31k tokens" in text


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (JobStatus.SCHEDULED, "🕓 Goes on at 2026-11-22 07:35 UTC"),
        (JobStatus.BLOCKED, "⛓ Waits for another job"),
        (JobStatus.WAITING, "❓ Waits for your answer"),
    ],
)
def test_a_card_of_work_that_waits_says_for_what(status: JobStatus, line: str) -> None:
    assert card(status=status, run_at="2026-11-22 07:35:00.000").endswith(line)


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (JobStatus.DONE, ["✅ #12 · Pelicans", "Klaar · 3:52"]),
        (JobStatus.FAILED, ["❌ #12 · Pelicans", "Mislukt · 3:52"]),
        (JobStatus.CANCELLED, ["⏹ #12 · Pelicans", "Geannuleerd · 3:52"]),
    ],
)
def test_the_last_face_of_a_card_shows_the_end_and_how_long_it_took(
    status: JobStatus, lines: list[str]
) -> None:
    text = card(
        "nl",
        status=status,
        started_at="2026-11-22 07:30:00.000",
        completed_at="2026-11-22 07:33:52.900",
    )

    assert text.split("\n")[2:] == lines


def test_a_job_cancelled_in_the_queue_took_no_time() -> None:
    text = card(status=JobStatus.CANCELLED, completed_at="2026-11-22 07:33:52.900")

    assert text.endswith("⏹ #12 · Pelicans\nCancelled")


@pytest.mark.parametrize("status", JobStatus)
def test_a_card_has_a_button_only_while_it_does_something(status: JobStatus) -> None:
    buttons = compose.card_buttons(a_job(status=status), SIGNER, language="en")

    assert bool(buttons) is not status.final


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0:00"), (9, "0:09"), (108, "1:48"), (3_725, "1:02:05")]
)
def test_a_duration_is_written_as_a_clock(seconds: float, text: str) -> None:
    assert compose.clock_text(seconds) == text
