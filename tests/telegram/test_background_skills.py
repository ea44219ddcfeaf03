"""A skill may say that it always takes the background: then its work becomes a job, always."""

from chatting import House, Person

from bridge.emulator.claude import ClaudeEmulator

SKILL = """---
name: meeting-minutes
description: Minutes.
metadata:
  kitt-background: "true"
  kitt-words: "notulen"
---
Write minutes.
"""


async def test_what_a_skill_does_in_the_background_becomes_a_job_whatever_the_model_says(
    house: House, claude: ClaudeEmulator
) -> None:
    folder = house.settings.profile / "skills" / "meeting-minutes"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL)
    claude.script.when("notulen", "Sure, here they are.")
    await house.start()
    chat = Person(house)

    chat.say("Maak notulen van dit overleg: we doen niets.")
    await chat.sees("#1")

    assert [job["status"] for job in house.jobs()] == ["pending"]
    assert "<kitt-directive>" in str(house.asked()[0].body["messages"][-1])
    await house.stop()
