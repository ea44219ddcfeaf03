"""The command that asks a real model what becomes of each message of docs/decisions.md."""

from collections import Counter

from bench.decisions import Line, decide, lines, said_of
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, ToolUse

SCHEDULE = {
    "acknowledgement": "Is this right?",
    "title": "News",
    "instructions": "The news in three lines.",
    "cron": "30 7 * * 1-5",
    "every_s": 0,
    "zone": "",
}


def test_the_table_has_sixty_messages_of_every_kind() -> None:
    table = lines()

    becomes = Counter(line.becomes for line in table)
    assert len(table) >= 60
    assert min(becomes["answer"], becomes["job"]) >= 20
    assert becomes["schedule"] >= 8
    assert len({line.said for line in table}) == len(table)


async def test_what_each_message_became_is_seen_and_what_differs_is_said() -> None:
    def answer(request: Request) -> Reply | None:
        if "every weekday" in request.last_user_text:
            return Reply([ToolUse("propose_schedule", SCHEDULE)])
        return Reply("Three pelicans.")

    claude = ClaudeEmulator()
    await claude.start()
    claude.script.rules.insert(0, answer)
    asked = [
        Line("Hello!", "answer"),
        Line("Count the pelicans in the background.", "job"),
        Line("The news every weekday at 7:30.", "schedule"),
        Line("Compare three bikes.", "job"),
    ]
    environ = {"ANTHROPIC_BASE_URL": claude.base_url, "ANTHROPIC_API_KEY": claude.key}

    decisions = await decide(asked, {**environ, "KITT_ZONE": "Europe/Amsterdam"})

    await claude.stop()
    assert [decision.became for decision in decisions] == ["answer", "job", "schedule", "answer"]
    assert list(said_of(decisions)) == [
        "job expected, answer: Compare three bikes.\n    Three pelicans.",
        "answer   1 of 1",
        "job      1 of 2",
        "schedule 1 of 1",
    ]
