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
    assert file == {"do": "document", "name": "kitt.md", "silent": True, "content": text}


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

    assert [part["do"] for part in made] == ["text", "files"]
    assert (made[0]["text"], made[0]["reply_to"]) == ("Three.", 5)
    assert made[1] == {"do": "files", "job": 12, "files": files}


def test_a_long_result_is_not_copied_into_its_delivery() -> None:
    beginning, file = compose.result_parts(a_job(result=words(5_000)), [], language="en")

    assert beginning["text"].startswith("pelican0 pelican1")
    assert file == {"do": "document", "name": "kitt-12.md", "silent": True, "result_of": 12}
