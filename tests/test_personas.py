"""Personas: files of a profile that take the place of KITT's character, and never of its rules."""

from pathlib import Path

import pytest
from fakes import a_job
from working import Shop

from bridge.agent.providers import provider_of
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Script
from bridge.kinds.kind import Kind
from bridge.models import JobStatus
from bridge.personas import Persona, persona_named, personas
from bridge.preferences import choose
from bridge.profile import MAIN_RULES, WORKER_RULES, main_prompt, worker_prompt
from bridge.settings import Settings
from bridge.store import Store

PROFILE = Path(__file__).parents[1] / "profile"
EDITOR = """---
name: Vera
role: an editor
backstory: You cut kindly.
model: claude-opus-5-5
effort: high
max_tokens: 4000
---
- Short sentences.
"""


def written(profile: Path, name: str, text: str) -> None:
    folder = profile / "personas"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(text)


def test_a_persona_takes_the_place_of_the_character_and_not_of_the_rules(tmp_path: Path) -> None:
    (tmp_path / "KITT.md").write_text("You are KITT.")
    written(tmp_path, "editor", EDITOR)
    found = persona_named(tmp_path, "editor")
    assert found is not None

    words = "You are Vera, an editor. You cut kindly.\n\n- Short sentences."
    assert found.prompt == words
    assert main_prompt(tmp_path, found.prompt) == f"{words}\n\n{MAIN_RULES}"
    assert worker_prompt(tmp_path, found.prompt) == f"{words}\n\n{WORKER_RULES}"
    assert (found.model, found.effort, found.max_tokens) == ("claude-opus-5-5", "high", 4_000)


@pytest.mark.parametrize(
    "text",
    [
        "Vera",
        "---\nrole: an editor\n---\nx",
        EDITOR.replace("high", "huge"),
        EDITOR.replace("4000", "many"),
        EDITOR.replace("4000", "999999"),
        EDITOR.replace("role:", "sing:"),
    ],
)
def test_a_broken_persona_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    written(tmp_path, "editor", text)
    written(tmp_path, "other", "---\nname: Sam\n---\n")

    assert [persona.id for persona in personas(tmp_path)] == ["other"]
    assert persona_named(tmp_path, "editor") is None
    assert "editor.md is left out" in caplog.text


@pytest.mark.parametrize("name", ["", "nobody", "../KITT", "a/b", "."])
def test_a_name_that_is_none_is_nobody(tmp_path: Path, name: str) -> None:
    (tmp_path / "KITT.md").write_text("---\nname: x\n---\n")

    assert persona_named(tmp_path, name) is None


def test_those_of_the_profile_are_whole() -> None:
    assert [persona.id for persona in personas(PROFILE)] == ["editor", "researcher"]


def test_a_claude_is_not_asked_from_a_provider_without_claude() -> None:
    persona = Persona(id="x", name="X", model="claude-opus-5-5")

    assert persona.model_for(Settings(), "claude-haiku-5-5") == "claude-opus-5-5"
    assert persona.model_for(Settings(), "deepseek-chat") == "deepseek-chat"


async def test_a_job_is_done_by_its_persona_that_of_its_kind_or_of_its_chat(
    tmp_path: Path, store: Store
) -> None:
    claude = ClaudeEmulator(script=Script([lambda _request: Reply("Done.")]))
    await claude.start()
    shop = Shop(tmp_path, store, claude)
    for name in ("of-job", "of-kind", "of-chat"):
        written(tmp_path, name, EDITOR.replace("Vera", name))
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "song.py").write_text(
        "from bridge.kinds import Kind\n"
        "KIND = Kind(name='song', description='Sing.', persona='of-kind')\n"
    )
    await store.write(lambda tx: choose(tx, "8", "persona", "of-chat"))
    try:
        for new in (
            a_job(persona="of-job", kind="song"),
            a_job(kind="song"),
            a_job(chat_id="8"),
            a_job(chat_id="7"),
            a_job(persona="gone"),
        ):
            await shop.queue.add(new)
        await shop.worker(concurrency=1)
        for number in range(1, 6):
            await shop.job_is(number, JobStatus.DONE)
    finally:
        await shop.close()
        await claude.stop()

    rows = shop.rows("SELECT frozen FROM conversations WHERE name GLOB 'job:*' ORDER BY name")
    who = [row["frozen"].split(",")[0].removeprefix('{"system": "You are ') for row in rows]
    assert who[:3] == ["of-job", "of-kind", "of-chat"]
    assert all(each.startswith("KITT") for each in who[3:])
    asked = {
        record.body["system"][0]["text"].split(",")[0].split()[-1]: record.body
        for record in claude.requests
    }
    body = asked["of-job"]
    assert (body["model"], body["max_tokens"]) == ("claude-opus-5-5", 4_000)
    assert body["output_config"] == {"effort": "high"}


def test_a_kind_may_name_a_persona() -> None:
    assert Kind(name="song", description="Sing.", persona="editor").persona == "editor"
    assert provider_of(Settings(), "claude-haiku-5-5").effort
