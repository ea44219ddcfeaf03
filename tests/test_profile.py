"""The system prompts: small, the same every time, and with the rules KITT lives by."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.agent.model import AnthropicModel, Request
from bridge.errors import ConfigError, ModelRefused
from bridge.profile import PERSONA, background_words, main_prompt, read_skills, worker_prompt
from bridge.queue import Queue
from bridge.tools.jobs import Origin, job_tools

PROFILE = Path(__file__).parents[1] / "profile"
REQUEST_BYTES_MAX = 6_000  # five times less than the leanest of its kind
SYSTEM_BYTES_MAX = 1_600
PERSONA_BYTES_MAX = 700
PROMPTS = [main_prompt, worker_prompt]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_persona_of_the_profile_comes_first(tmp_path: Path, prompt: Any) -> None:
    (tmp_path / "KITT.md").write_text("\n  You are Kitty.\n\n")

    assert prompt(tmp_path).startswith("You are Kitty.\n\n")
    assert PERSONA not in prompt(tmp_path)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_without_a_persona_of_its_own_a_profile_gets_ours(tmp_path: Path, prompt: Any) -> None:
    missing = prompt(tmp_path)
    (tmp_path / "KITT.md").write_text(" \n")

    assert missing.startswith(PERSONA)
    assert prompt(tmp_path) == missing


def test_a_persona_that_is_no_text_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "KITT.md").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match=r"KITT\.md is not UTF-8"):
        main_prompt(tmp_path)


def test_a_persona_that_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "KITT.md").mkdir()

    with pytest.raises(ConfigError, match=r"KITT\.md cannot be read"):
        main_prompt(tmp_path)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_same_profile_gives_the_same_bytes_without_a_date(prompt: Any) -> None:
    text = prompt(PROFILE)

    assert prompt(PROFILE) == text
    assert "20" not in text


@pytest.mark.parametrize(
    "words",
    [
        "user's language",
        "start_background_job",
        "never promise",
        "no HTML",
        "no LaTeX",
        "3 narrow columns",
        "<kitt-state>",
        "<kitt-directive>",
        "<kitt-event>",
        "<kitt-quote>",
        "<kitt-file>",
        "never an instruction",
    ],
)
def test_the_main_prompt_carries_the_rule(words: str) -> None:
    assert words in main_prompt(PROFILE)


@pytest.mark.parametrize(
    "words",
    [
        "alone",
        "report_progress",
        "write_file",
        "attach_file",
        "Markdown",
        "language of the instructions",
        "sources with links",
        "never an instruction",
        "impossible",
    ],
)
def test_the_worker_prompt_carries_the_rule(words: str) -> None:
    assert words in worker_prompt(PROFILE)


def test_the_main_agent_is_told_of_no_tool_it_does_not_have() -> None:
    assert "write_file" not in main_prompt(PROFILE)
    assert "start_background_job" not in worker_prompt(PROFILE)


def test_the_persona_and_the_main_prompt_are_small() -> None:
    assert len((PROFILE / "KITT.md").read_bytes()) <= PERSONA_BYTES_MAX
    assert len(main_prompt(PROFILE).encode()) <= SYSTEM_BYTES_MAX


async def test_the_whole_request_for_hello_stays_under_its_limit(queue: Queue) -> None:
    origin = Origin(chat_id="1", thread_id=0, user_id="1", message_id=1, source="update:1")
    request = Request(
        model="claude-haiku-5-5",
        system=main_prompt(PROFILE),
        messages=[{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        tools=[tool.to_api() for tool in job_tools(queue, origin)],
        max_tokens=1_500,
    )

    body = await _sent(request)

    assert json.loads(body)["system"][0]["text"] == main_prompt(PROFILE)
    assert len(body) < REQUEST_BYTES_MAX


def test_the_skills_of_the_profile_are_whole() -> None:
    assert [skill.name for skill in read_skills(PROFILE)] == [
        "compare-products",
        "meeting-minutes",
        "trip-plan",
    ]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("Maak notulen van dit gesprek", True),
        ("Please write the meeting minutes", True),
        ("Plan een reis naar Gent", True),
        ("Compare Prices of e-bikes", True),
        ("In two minutes, offer me tea", False),
        ("Hello", False),
    ],
)
def test_a_skill_that_takes_the_background_is_known_by_its_words(words: str, meant: bool) -> None:
    pattern = background_words(PROFILE)

    assert pattern is not None
    assert bool(pattern.search(words)) is meant


def test_without_such_a_skill_no_word_is_special(tmp_path: Path) -> None:
    folder = tmp_path / "skills" / "sing"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: sing\ndescription: Sing.\n---\nLa la.\n")

    assert background_words(tmp_path) is None


async def _sent(request: Request) -> bytes:
    """The body of a request as it goes over the wire, to a server that refuses it."""
    body = b""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal body
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        body = await reader.readexactly(length)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    model = AnthropicModel(key="none", base_url=f"http://127.0.0.1:{port}")
    try:
        with pytest.raises(ModelRefused):
            await model.stream(request)
    finally:
        await model.close()
        server.close()
        await server.wait_closed()
    return body
