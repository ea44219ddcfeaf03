"""`/settings`: what is chosen, by a tap or in words, and what takes effect at once."""

from pathlib import Path
from typing import Any

import pytest
from chatting import CHAT, House, Person
from fakes import shell

from bridge import preferences
from bridge.emulator.telegram_state import ChatMessage
from bridge.store import Store
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.persona_commands import PersonaCommands
from bridge.telegram.settings_commands import SettingsCommands

SIGNER = Signer("123456789:" + "A" * 35)
GROUP = "-1001"
WHO: dict[str, Any] = {"thread_id": 0, "user_id": "7", "name": "Sam", "language": "en"}


def buttons(message: ChatMessage) -> list[str]:
    return [button["text"] for row in message.buttons for button in row]


def kept(house: House) -> dict[str, str]:
    return {row["name"]: row["value"] for row in house.rows("SELECT * FROM preferences")}


async def test_it_shows_everything_that_can_be_chosen(
    bridge: House, chat: Person, dutch: Person
) -> None:
    english = await chat.ask("/settings")
    in_dutch = await dutch.ask("/settings")

    assert english.text.startswith("⚙️ Your settings\n\n🌐 Language: as in Telegram\n")
    assert "🕓 Time zone: UTC, as set for the bot\n🌙 Quiet hours: off\n" in english.text
    assert "🔔 Questions in quiet hours: with sound\n🎨 Rich messages: off\n" in english.text
    assert "✍️ Answers: as they grow\n💶 Costs: shown\n" in english.text
    assert "🌙 Stille uren: uit\n" in in_dutch.text
    assert len(buttons(english)) == len(preferences.IN_SETTINGS)
    assert bridge.asked() == []


async def test_a_tap_shows_the_choices_and_the_next_one_chooses(
    bridge: House, chat: Person
) -> None:
    asked = await chat.ask("/settings")

    await chat.press(asked.message_id, "🌙 Quiet hours")
    choices = await chat.sees("In these hours")
    toast = await chat.press(asked.message_id, "22:30–07:30")
    after = await chat.sees("🌙 Quiet hours: 22:30–07:30\n")

    assert choices.message_id == after.message_id == asked.message_id
    assert buttons(choices) == ["✓ off", "22:30–07:30", "23:00–08:00", "‹ All"]
    assert toast.text == "✓ Quiet hours: 22:30–07:30"
    assert kept(bridge) == {"quiet": "22:30-07:30"}


async def test_from_the_choices_there_is_a_way_back(bridge: House, chat: Person) -> None:
    asked = await chat.ask("/settings zone")

    assert "Europe/Lisbon" in buttons(asked)
    await chat.press(asked.message_id, "‹ All")
    await chat.sees("⚙️ Your settings")
    assert kept(bridge) == {}


async def test_a_chosen_language_is_spoken_from_that_tap_on(bridge: House, chat: Person) -> None:
    asked = await chat.ask("/settings language")

    toast = await chat.press(asked.message_id, "Nederlands")
    await chat.sees("⚙️ Je instellingen")

    assert toast.text == "✓ Taal: Nederlands"
    assert (await chat.ask("/jobs")).text.startswith("Nog geen taken.")
    (row,) = bridge.rows("SELECT language FROM users")
    assert row["language"] == "en"  # that of their Telegram is kept as it is

    await chat.ask("/settings taal standaard")

    assert (await chat.ask("/jobs")).text.startswith("No jobs yet.")


async def test_a_chosen_language_outlives_a_restart_and_is_that_of_results(
    house: House, chat: Person
) -> None:
    await house.start()
    await chat.ask("/settings language nl")
    await house.settled()
    await house.stop()

    await house.start()

    assert (await chat.ask("/jobs")).text.startswith("Nog geen taken.")
    chat.say("/bg count pelicans")
    card = await chat.sees("🛠 #1")
    assert "In de wachtrij" in card.text


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("zone Europe/Lisbon", "zone", "Europe/Lisbon"),
        ("tijdzone europe/lisbon", "zone", "Europe/Lisbon"),
        ("Zone america/new york", "zone", "America/New_York"),
        ("zone utc", "zone", "UTC"),
        ("quiet 21:00-06:30", "quiet", "21:00-06:30"),
        ("stil 9:30 – 7:00", "quiet", "09:30-07:00"),
        ("approvals off", "night_approvals", "off"),
        ("vragen uit", "night_approvals", "off"),
        ("rich when it helps", "rich", "auto"),
        ("streaming off", "streaming", "off"),
        ("costs hidden", "costs", "off"),
        ("taal Nederlands", "language", "nl"),
    ],
)
async def test_a_setting_can_be_written(
    bridge: House, chat: Person, written: str, name: str, value: str
) -> None:
    await chat.ask(f"/settings {written}")

    assert kept(bridge) == {name: value}


@pytest.mark.parametrize("written", ["quiet off", "stil uit", "quiet default"])
async def test_quiet_hours_can_be_taken_back(bridge: House, chat: Person, written: str) -> None:
    await chat.ask("/settings quiet 21:00-06:30")

    after = await chat.ask(f"/settings {written}")

    assert "🌙 Quiet hours: off\n" in after.text
    assert kept(bridge) == {}


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (
            "zone Mars/Olympus",
            "I know no time zone “Mars/Olympus”. Write one as /settings zone Europe/Lisbon",
        ),
        (
            "quiet late",
            "“late” are no hours. Write them as /settings quiet 22:30-07:30, or off.",
        ),
        (
            "quiet 25:00-07:00",
            "“25:00-07:00” are no hours. Write them as /settings quiet 22:30-07:30, or off.",
        ),
        (
            "language fr",
            "I do not speak “fr”. Write /settings language with en, nl or default behind it.",
        ),
        ("costs maybe", "“maybe” does not fit. Write /settings costs on or off."),
        ("colour red", "There is no setting colour. /settings shows them all."),
    ],
)
async def test_what_does_not_fit_gets_one_sentence_that_says_what_does(
    bridge: House, chat: Person, written: str, answer: str
) -> None:
    assert (await chat.ask(f"/settings {written}")).text == answer
    assert kept(bridge) == {}


async def test_a_press_twice_chooses_once(bridge: House, chat: Person) -> None:
    asked = await chat.ask("/settings costs")
    presses = [chat.telegram.press(CHAT, asked.message_id, "hidden") for _ in range(2)]

    for press in presses:
        assert (await chat.answer_to(asked.message_id, press)).text == "✓ Costs: hidden"
    assert kept(bridge) == {"costs": "off"}


async def test_a_button_of_a_choice_that_is_no_more_shows_the_settings(
    bridge: House, chat: Person
) -> None:
    signer = Signer(bridge.telegram.token)

    chat.press_raw(signer.data("uc", 99, str(CHAT)))
    await bridge.telegram.wait_for(lambda e: e.calls("answerCallbackQuery"))
    chat.press_raw(signer.data("uc", 12_345_678, str(CHAT)))

    await chat.sees("⚙️ Your settings")
    await bridge.settled()
    assert kept(bridge) == {}


def commands(chosen: Chosen, owner: str = "7") -> SettingsCommands:
    about: dict[str, Any] = {"signer": SIGNER, "chosen": chosen}
    about["is_owner"] = lambda _tx, user: user == owner
    return SettingsCommands(personas=PersonaCommands(profile=Path("/nowhere"), **about), **about)


def said(text: str, *, user_id: str = "7") -> Incoming:
    who = {**WHO, "user_id": user_id}
    return Incoming(**who, update_id=1, chat_id=GROUP, message_id=5, text=text)


async def in_group(store: Store, family: SettingsCommands, argument: str, user: str) -> str:
    message = said(f"/settings {argument}", user_id=user)
    parts = await store.write(lambda tx: family.command(tx, message, "settings", argument))
    return str(parts[0]["text"])


async def test_in_a_group_they_are_the_groups_and_only_an_owner_changes_them(
    store: Store,
) -> None:
    chosen = Chosen()
    family = commands(chosen)

    refused = await in_group(store, family, "language nl", "8")
    shown = await in_group(store, family, "", "8")
    changed = await in_group(store, family, "language nl", "7")

    assert refused == "Only an owner of the bot changes the settings of a group."
    assert shown.startswith("⚙️ Settings of this group\n\n🌐 Language: as in Telegram\n")
    assert changed.startswith("⚙️ Instellingen van deze groep\n\n🌐 Taal: Nederlands\n")
    (row,) = shell(store.path, "SELECT * FROM preferences")
    assert row == {"whose": GROUP, "name": "language", "value": "nl"}
    assert chosen.in_their_language(said("hello")).language == "nl"


async def test_a_tap_of_someone_else_in_a_group_changes_nothing(store: Store) -> None:
    family = commands(Chosen())
    who = {**WHO, "user_id": "8"}
    press = Press(**who, update_id=1, chat_id=GROUP, callback_id="1", data="", message_id=5)

    toast, parts = await store.write(lambda tx: family.press(tx, press, "uc", 1 + 2))

    assert toast == "Only an owner of the bot changes the settings of a group."
    assert parts == []
    assert shell(store.path, "SELECT * FROM preferences") == []


async def test_in_a_group_without_a_language_everyone_is_spoken_to_in_their_own(
    store: Store,
) -> None:
    chosen = Chosen()

    def choose(tx: Any) -> None:
        preferences.choose(tx, "8", "language", "nl")
        chosen.load(tx)

    await store.write(choose)

    assert chosen.in_their_language(said("hello", user_id="8")).language == "nl"
    assert chosen.in_their_language(said("hello")).language == "en"
