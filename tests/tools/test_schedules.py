"""The tools by which the main agent proposes what recurs, and sees what does."""

import json
from typing import Any

import pytest
from fakes import FakeClock, shell

from bridge import proposals, schedules
from bridge.agent.tool import Tool, ToolFailed
from bridge.models import PROMPT_CHARS_MAX
from bridge.proposals import SCHEDULES_MAX, Proposal
from bridge.schedules import NewSchedule
from bridge.store import Store, Tx
from bridge.tools.jobs import Origin, job_tools
from bridge.tools.schedules import schedule_tools

NEWS: dict[str, Any] = {
    "acknowledgement": "Is this right?",
    "title": "News",
    "instructions": "The news in three lines.",
    "cron": "30 7 * * 1-5",
    "every_s": 0,
    "zone": "Europe/Amsterdam",
}


class Turn:
    """One turn in chat 7 and what it shows."""

    def __init__(
        self, store: Store, clock: FakeClock, *, zone: str = "", update: int = 1, **of: Any
    ) -> None:
        self.store = store
        self.shown: list[tuple[Proposal, str]] = []
        origin = Origin(
            chat_id="7", thread_id=3, user_id="70", message_id=12, source=f"update:{update}", **of
        )
        made = schedule_tools(clock, origin, zone=zone, show=self._show)
        self.tools: dict[str, Tool] = {tool.name: tool for tool in made}

    def _show(self, _tx: Tx, proposal: Proposal, acknowledgement: str) -> None:
        self.shown.append((proposal, acknowledgement))

    async def call(self, tool_name: str, /, **given: Any) -> str:
        """What the model gets back. Raises: ToolFailed."""
        tool = self.tools[tool_name]
        commit = tool.commit
        assert commit is not None
        return await self.store.write(lambda tx: commit(tx, tool.check(given)))

    async def propose(self, **changes: Any) -> str:
        return await self.call("propose_schedule", **{**NEWS, **changes})


@pytest.fixture
def turn(store: Store, clock: FakeClock) -> Turn:
    return Turn(store, clock)


async def test_a_proposal_is_shown_and_nothing_is_scheduled(store: Store, turn: Turn) -> None:
    said = await turn.propose()

    assert said == (
        "Shown with the times Mon 2026-11-23 07:30, Tue 2026-11-24 07:30, Wed 2026-11-25 07:30 "
        "(Europe/Amsterdam). It is no schedule until the user taps Save."
    )
    ((proposal, acknowledgement),) = turn.shown
    assert acknowledgement == "Is this right?"
    assert (proposal.chat_id, proposal.thread_id, proposal.user_id) == ("7", 3, "70")
    assert (proposal.title, proposal.prompt) == ("News", "The news in three lines.")
    assert (proposal.cron, proposal.every_s) == ("30 7 * * 1-5", None)
    assert shell(store.path, "SELECT * FROM schedules") == []


async def test_an_interval_is_proposed_without_cron(turn: Turn) -> None:
    await turn.propose(cron=" ", every_s=7_200)

    assert (turn.shown[0][0].cron, turn.shown[0][0].every_s) == (None, 7_200)


@pytest.mark.parametrize(("setting", "zone"), [("", "UTC"), ("Asia/Tokyo", "Asia/Tokyo")])
async def test_an_empty_zone_is_the_one_that_is_set(
    store: Store, clock: FakeClock, setting: str, zone: str
) -> None:
    turn = Turn(store, clock, zone=setting)

    await turn.propose(zone="")

    assert turn.shown[0][0].zone == zone


def test_the_model_is_told_to_ask_for_a_zone_only_when_none_is_set(
    store: Store, clock: FakeClock, turn: Turn
) -> None:
    def words(turn: Turn) -> str:
        return str(turn.tools["propose_schedule"].properties["zone"]["description"])

    assert words(turn) == "IANA zone of the user; ask when you do not know it."
    assert words(Turn(store, clock, zone="Asia/Tokyo")).endswith("empty = Asia/Tokyo.")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cron": ""}, "Give either cron"),
        ({"every_s": 3_600}, "Give either cron"),
        ({"cron": "at dawn"}, "write minute, hour, day of the month, month and day of the week"),
        ({"cron": "0 0 31 2 *"}, "day-of-month that ever comes"),
        ({"cron": "*/4 * * * *"}, "more often than every 300 seconds.*make it rarer"),
        ({"cron": "", "every_s": 299}, "from 300 to"),
        ({"cron": "", "every_s": -300}, "from 300 to"),
        ({"cron": "", "every_s": 10**30}, "from 300 to"),
        ({"cron": "\x00" * 5}, "cron"),
        ({"cron": "1," * 50_000 + "1 0 * * *"}, "cron has more than 100 characters"),
        ({"zone": "Amsterdam"}, "zone 'Amsterdam' is not known: give a name such as"),
        ({"zone": "../../etc/passwd"}, "is not known"),
        ({"zone": "\ud800"}, "is not known"),
        ({"instructions": " "}, "needs a prompt"),
        ({"instructions": "x" * (PROMPT_CHARS_MAX + 1)}, "at most 200,000 fit"),
        ({"every_s": "0"}, "every_s must be of type integer"),
    ],
)
async def test_what_cannot_be_goes_back_to_the_model_with_what_to_do(
    store: Store, turn: Turn, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ToolFailed, match=sentence):
        await turn.propose(**changes)

    assert turn.shown == []
    assert shell(store.path, "SELECT * FROM proposals") == []


async def test_a_full_chat_is_a_tool_error(store: Store, clock: FakeClock, turn: Turn) -> None:
    new = NewSchedule(chat_id="7", prompt="Count", every_s=3_600)
    for _ in range(SCHEDULES_MAX):
        await store.write(lambda tx: schedules.add(tx, new, now=clock.now()))

    with pytest.raises(ToolFailed, match="This chat has 50 schedules"):
        await turn.propose()


async def test_strange_words_of_the_model_are_kept_short_and_clean(turn: Turn) -> None:
    await turn.propose(title="a\ud800" * 90, acknowledgement="b" * 900, instructions="c\x00d")

    proposal, acknowledgement = turn.shown[0]
    assert len(proposal.title) <= 60
    assert len(acknowledgement) <= 300
    assert "\ud800" not in proposal.title
    assert "\x00" not in proposal.prompt


async def test_two_proposals_of_a_turn_are_two_and_a_replay_makes_no_third(
    store: Store, clock: FakeClock, turn: Turn
) -> None:
    await turn.propose()
    await turn.propose(title="Again")
    again = Turn(store, clock)
    await again.propose()

    rows = shell(store.path, "SELECT source FROM proposals ORDER BY id")
    assert [row["source"] for row in rows] == ["update:1:p0", "update:1:p1"]
    assert again.shown[0][0] == turn.shown[0][0]


async def test_list_shows_this_chats_schedules(store: Store, clock: FakeClock, turn: Turn) -> None:
    assert await turn.call("list_schedules") == "No schedules."
    base = NewSchedule(chat_id="7", prompt="Count <kitt-event>", every_s=3_600)
    other = NewSchedule(chat_id="8", prompt="Not yours", every_s=3_600)
    await store.write(lambda tx: schedules.add(tx, base, now=clock.now()))
    await store.write(lambda tx: schedules.add(tx, other, now=clock.now()))
    await turn.propose()
    proposal = turn.shown[0][0]
    await store.write(lambda tx: proposals.save(tx, proposal, now=clock.now()))
    await store.write(lambda tx: schedules.pause(tx, 1))

    said = await turn.call("list_schedules")

    assert said.splitlines() == [
        "#1 “Count &lt;kitt-event>” every 3600 s UTC, paused",
        "#3 “News” 30 7 * * 1-5 Europe/Amsterdam, next Mon 2026-11-23 07:30",
    ]


def test_no_tool_takes_a_chat_or_a_person(turn: Turn) -> None:
    names = {name for tool in turn.tools.values() for name in tool.properties}

    assert not names & {"chat_id", "user_id", "thread_id"}


def test_the_tools_are_small(turn: Turn) -> None:
    """With those for jobs they leave room in a request of 6,000 bytes."""
    schemas = [tool.to_api() for tool in turn.tools.values()]

    assert len(json.dumps(schemas, ensure_ascii=False, separators=(",", ":"))) < 1_500


def test_tools_of_both_kinds_have_names_of_their_own(turn: Turn) -> None:
    origin = Origin(chat_id="7", thread_id=0, user_id="7", message_id=1, source="update:1")
    names = [tool.name for tool in job_tools(None, origin)]  # type: ignore[arg-type]

    assert not set(names) & turn.tools.keys()


async def test_a_change_keeps_what_nothing_is_said_about(
    store: Store, clock: FakeClock, turn: Turn
) -> None:
    old = NewSchedule(
        chat_id="7", user_id="70", title="News", prompt="Tell", every_s=3600, zone="UTC"
    )
    await store.write(lambda tx: schedules.add(tx, old, now=clock.now()))
    nothing = {"title": "", "instructions": "", "cron": "", "zone": ""}

    await turn.propose(**{**nothing, "cron": "0 9 * * *"}, changes=1)
    said = await turn.propose(**{**nothing, "instructions": "Tell all"}, changes=1)

    timed, worded = (proposal for proposal, _ in turn.shown)
    assert (timed.cron, timed.every_s, timed.prompt) == ("0 9 * * *", None, "Tell")
    assert (worded.cron, worded.every_s, worded.prompt) == (None, 3600, "Tell all")
    assert (worded.title, worded.zone, worded.changes) == ("News", "UTC", 1)
    assert "Nothing is changed until the user taps Save" in said


@pytest.mark.parametrize("whose", ["71", ""])  # another person's, and one made in a terminal
async def test_in_a_group_only_its_person_or_an_owner_changes_a_schedule(
    store: Store, clock: FakeClock, whose: str
) -> None:
    other = NewSchedule(chat_id="7", user_id=whose, prompt="Tell", every_s=3600)
    await store.write(lambda tx: schedules.add(tx, other, now=clock.now()))
    member, owner = (Turn(store, clock, only_own=only_own) for only_own in (True, False))

    for number, sentence in ((1, "belongs to someone else"), (2, "no schedule 2")):
        with pytest.raises(ToolFailed, match=sentence):
            await member.propose(changes=number)
    assert member.shown == []

    await owner.propose(changes=1)
    assert len(owner.shown) == 1
