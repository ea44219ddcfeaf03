"""In an open group nobody changes what another has asked for, in whatever way it is tried."""

import pytest
from bots import PNG
from chatting import CHAT, Person
from grouping import ANNA, EVE, GROUP, Room, press_raw
from waiting import until

from bridge import schedules
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.memory import Memory
from bridge.schedules import NewSchedule
from bridge.telegram.buttons import Signer

BO = 55  # may use the bot too


@pytest.fixture
async def shared(opened: Room, chat: Person) -> Room:
    """The open group, with Anna and Bo in it."""
    opened.telegram.open_chat(BO)
    await chat.ask(f"/allow {BO}")
    return opened


def cancels(request: Request) -> Reply | None:
    """The model cancels job 1 when it is asked for, and says what came of it."""
    if "number one" not in request.last_user_text:
        return None
    done = request.tool_results
    return Reply(done[-1].text) if done else Reply([ToolUse("cancel_job", {"job_id": 1})])


# Jobs


async def test_a_number_means_the_same_job_to_the_rights_and_to_the_command(shared: Room) -> None:
    await shared.ask("/bg Mine", BO)
    shared.house.rows(
        "INSERT INTO jobs (id, chat_id, user_id, prompt) VALUES (12, :chat, :who, 'Count')",
        chat=str(GROUP),
        who=str(ANNA),
    )

    answer = await shared.ask(f"/cancel {12:019}", BO)  # its first 18 digits are those of 1

    assert answer.text.startswith("That belongs to someone else here")
    assert shared.house.jobs()[1]["status"] == "pending"


@pytest.mark.parametrize("text", ["/cancel", "/retry"])
async def test_without_a_number_only_ones_own_jobs_are_meant(shared: Room, text: str) -> None:
    await shared.ask("/bg Count the pelicans", ANNA)
    if text == "/retry":
        await shared.ask("/cancel 1", ANNA)
    before = shared.house.jobs()

    answer = await shared.ask(text, BO)

    assert answer.buttons == []
    assert shared.house.jobs() == before


async def test_the_model_changes_no_job_of_another(shared: Room, claude: ClaudeEmulator) -> None:
    await shared.ask("/bg Count the pelicans", ANNA)
    claude.script.rules.insert(0, cancels)

    answer = await shared.ask(f"{shared.bot} Cancel number one", BO)

    assert "only they or an owner" in answer.text
    assert shared.house.jobs()[0]["status"] == "pending"


@pytest.mark.parametrize("by", [ANNA, CHAT], ids=["who asked", "an owner"])
async def test_the_model_cancels_for_who_may(shared: Room, claude: ClaudeEmulator, by: int) -> None:
    await shared.ask("/bg Count the pelicans", ANNA)
    claude.script.rules.insert(0, cancels)

    await shared.ask(f"{shared.bot} Cancel number one", by)

    assert shared.house.jobs()[0]["status"] == "cancelled"


async def test_all_jobs_of_a_group_are_cancelled_by_an_owner_only(shared: Room) -> None:
    await shared.ask("/bg Count the pelicans", ANNA)
    listed = await shared.ask("/jobs", BO)

    _, alert = await shared.press(listed, "⏹ All", by=BO)
    press_raw(shared, Signer(shared.telegram.token).data("jy", 0, str(GROUP)), by=ANNA)

    await shared.house.settled()
    assert alert
    assert shared.house.jobs()[0]["status"] == "pending"


# The answer that is being made


async def test_only_who_asked_taps_stop(shared: Room, claude: ClaudeEmulator) -> None:
    claude.script.when("pelicans", Reply("Pelicans are large water birds. " * 40, pace_s=0.06))
    shown = await shared.ask(f"{shared.bot} Tell me about pelicans", ANNA)

    text, alert = await shared.press(shown, "⏹ Stop", by=BO)
    assert (text[:12], alert) == ("That belongs", True)
    await shared.press(shown, "⏹ Stop", by=ANNA)

    await shared.sees("⏹ stopped")


async def test_stop_drops_no_files_of_another(shared: Room) -> None:
    shared.telegram.send_photo(
        GROUP,
        "a.png",
        PNG,
        caption=f"{shared.bot} What is this?",
        user_id=ANNA,
        media_group_id="g",
    )
    await until(lambda: shared.telegram.updates.pending == 0)

    stopped = await shared.ask("/stop", BO)

    assert stopped.text.startswith("I am not answering anything now")
    await shared.sees("this is what reached me")


# Schedules


@pytest.fixture
async def scheduled(shared: Room) -> Room:
    """A group with a schedule of Anna's."""
    new = NewSchedule(
        chat_id=str(GROUP), user_id=str(ANNA), title="News", prompt="The news", every_s=86_400
    )
    house = shared.house
    await house.store.write(lambda tx: schedules.add(tx, new, now=house.clock.now()))
    return shared


@pytest.mark.parametrize("button", ["▶ Run now", "⏸ Pause", "🗑 Remove"])
async def test_another_changes_no_schedule(scheduled: Room, button: str) -> None:
    shown = await scheduled.ask("/schedule 1", BO)

    text, alert = await scheduled.press(shown, button, by=BO)

    assert (text[:12], alert) == ("That belongs", True)
    assert scheduled.house.rows("SELECT status FROM schedules") == [{"status": "active"}]
    assert scheduled.house.jobs() == []


@pytest.mark.parametrize("verb", ["sn", "sp", "su", "sr", "sx"])
async def test_no_button_of_a_schedule_works_for_another(scheduled: Room, verb: str) -> None:
    press_raw(scheduled, Signer(scheduled.telegram.token).data(verb, 1, str(GROUP)), by=BO)

    await until(lambda: scheduled.house.rows("SELECT 1 FROM inbox WHERE state = 'refused'"))
    assert scheduled.house.rows("SELECT status FROM schedules") == [{"status": "active"}]


@pytest.mark.parametrize("by", [ANNA, CHAT], ids=["who made it", "an owner"])
async def test_who_made_a_schedule_and_an_owner_pause_it(scheduled: Room, by: int) -> None:
    shown = await scheduled.ask("/schedule 1", by)

    await scheduled.press(shown, "⏸ Pause", by=by)

    assert scheduled.house.rows("SELECT status FROM schedules") == [{"status": "paused"}]


# Settings


async def test_only_an_owner_changes_the_settings_of_a_group(shared: Room) -> None:
    shown = await shared.ask("/settings language", BO)

    text, _ = await shared.press(shown, "Nederlands", by=BO)
    said = await shared.ask("/settings language nl", ANNA)

    assert text == said.text == "Only an owner of the bot changes the settings of a group."
    assert shared.house.rows("SELECT * FROM preferences") == []


# Albums


async def test_an_album_is_meant_when_one_of_it_mentions_the_bot(shared: Room) -> None:
    shared.telegram.privacy = False
    for name, caption in (("a", ""), ("b", f"{shared.bot} What are these?"), ("c", "")):
        shared.telegram.send_photo(
            GROUP, f"{name}.png", PNG, caption=caption, user_id=ANNA, media_group_id="g"
        )

    answer = await shared.sees("this is what reached me")

    assert answer.text.count("image (image/png") == 3
    assert len(shared.house.asked()) == 1


async def test_an_album_for_others_ends_unread(shared: Room) -> None:
    shared.telegram.privacy = False
    for name in "ab":
        shared.telegram.send_photo(
            GROUP, f"{name}.png", PNG, caption="Look!", user_id=ANNA, media_group_id="g"
        )
    for name in "cd":
        shared.telegram.send_photo(GROUP, f"{name}.png", PNG, user_id=EVE, media_group_id="g")

    await until(
        lambda: len(shared.house.rows("SELECT 1 FROM inbox WHERE state = 'refused'")) == 4, 15
    )
    assert shared.house.asked() == []
    assert list(shared.house.settings.files_dir.glob("*")) == []


@pytest.mark.parametrize(("by", "kept"), [(CHAT, 1), (ANNA, 0)])
async def test_the_model_changes_the_notes_of_a_group_for_an_owner_alone(
    opened: Room, claude: ClaudeEmulator, by: int, kept: int
) -> None:
    def keeps(request: Request) -> Reply:
        results = request.all_tool_results
        if results:
            return Reply(f"The tool said: {results[-1].text}")
        return Reply([ToolUse("remember", {"about": "", "text": "tea is green"})])

    claude.script.when("remember the tea", keeps)

    asked = opened.say(f"{opened.bot} remember the tea", by)
    told = await opened.sees("The tool said", after=asked)

    assert ("Only an owner" in told.text) is (kept == 0)
    assert len(Memory(opened.house.settings.notes_dir, str(GROUP)).notes()) == kept
