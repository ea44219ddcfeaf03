"""What Telegram shows beside a chat, for whom, and how seldom it is told."""

from typing import Any

import pytest
from chatting import CHAT, House, Person
from waiting import until

from bridge import people
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.telegram import menu
from bridge.telegram.menu import FOR_OWNERS, GROUPS, PRIVATE, calls
from bridge.telegram.texts import LANGUAGES

ALL = frozenset({"start", *PRIVATE, *GROUPS})
TOLD = ("setMyCommands", "setChatMenuButton", "setMyDescription", "setMyShortDescription")


def menus(commands: frozenset[str], *owners: int) -> dict[str, list[str]]:
    """The commands of every menu, by whom it is for and in which language."""
    return {
        call.name: [entry["command"] for entry in call.given["commands"]]
        for call in calls(commands, set(owners))
        if call.method == "setMyCommands"
    }


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(menu, "PAUSE_S", 0.0)


@pytest.fixture
def with_text_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for commands that nobody has made yet."""
    monkeypatch.setattr(menu, "say", lambda language, key: f"{key} in {language}")


# What they hold


@pytest.mark.usefixtures("with_text_for_all")
def test_a_menu_holds_only_commands_that_have_an_answer() -> None:
    found = menus(frozenset({"start", "help", "jobs", "bg"}))

    assert found["private en"] == ["bg", "jobs", "help"]
    assert found["groups en"] == ["jobs", "help"]
    assert found["anywhere en"] == ["start", "help"]


@pytest.mark.usefixtures("with_text_for_all")
def test_there_is_one_for_every_language() -> None:
    found = menus(ALL)

    assert {name.split()[1] for name in found} == {*LANGUAGES}
    assert found["private nl"] == [*PRIVATE]


@pytest.mark.usefixtures("with_text_for_all")
def test_an_owner_has_a_menu_with_more() -> None:
    found = menus(ALL | {"users"}, 7, 8)

    assert found["owner 7 en"] == [*PRIVATE, "users"]
    assert {"owner 7 nl", "owner 8 en", "owner 8 nl"} <= found.keys()


@pytest.mark.usefixtures("with_text_for_all")
def test_an_owner_with_nothing_more_has_the_menu_of_everybody() -> None:
    assert not [name for name in menus(ALL, 7) if name.startswith("owner")]


@pytest.mark.usefixtures("with_text_for_all")
def test_the_menu_of_groups_has_nothing_that_is_for_private_chats() -> None:
    assert not {*menus(ALL | {*FOR_OWNERS}, 7)["groups en"]} & {"settings", "new", *FOR_OWNERS}


# Telling Telegram


def told(telegram: TelegramEmulator) -> list[Any]:
    return [call for method in TOLD for call in telegram.calls(method)]


async def all_told(house: House, telegram: TelegramEmulator, owners: int = 1) -> list[Any]:
    wanted = len(list(calls(house.commands(), set(range(1, owners + 1)))))
    await until(lambda: len(told(telegram)) >= wanted)
    return told(telegram)


async def test_telegram_is_told_everything_at_the_first_start(
    bridge: House, telegram: TelegramEmulator
) -> None:
    await all_told(bridge, telegram)

    shown = telegram.commands
    names = {key: [entry["command"] for entry in entries] for key, entries in shown.items()}
    private = next(entries for entries in names.values() if "bg" in entries)
    assert private == [name for name in PRIVATE if name in bridge.commands()]
    assert {entry["description"] for entries in shown.values() for entry in entries} >= {
        "your jobs",
        "je taken",
    }
    assert telegram.calls("setChatMenuButton")[0].params["menu_button"] == {"type": "commands"}
    assert len(telegram.calls("setMyDescription")) == len(LANGUAGES)
    assert len(telegram.calls("setMyShortDescription")) == len(LANGUAGES)


async def test_telegram_is_told_nothing_twice(house: House, telegram: TelegramEmulator) -> None:
    await house.start()
    before = len(await all_told(house, telegram))
    await house.stop()
    await house.start()
    await house.settled()
    await house.stop()

    assert len(told(telegram)) == before


async def test_telegram_is_told_what_changed_and_only_that(
    house: House, telegram: TelegramEmulator
) -> None:
    await house.start()
    before = len(await all_told(house, telegram))
    await house.store.write(
        lambda tx: tx.run(
            "put_meta",
            name="menus",
            value=str(tx.value("meta", name="menus")).replace('"button": "', '"button": "x'),
        )
    )
    await house.stop()
    await house.start()
    await until(lambda: len(told(telegram)) > before)
    await house.stop()

    assert len(told(telegram)) == before + 1
    assert len(telegram.calls("setChatMenuButton")) == 2


async def test_a_flood_is_waited_out_while_people_are_answered(
    house: House, telegram: TelegramEmulator, chat: Person
) -> None:
    telegram.order(Fault(method="setMyCommands", status=429, retry_after=1))
    await house.start()

    answer = await chat.ask("/help")

    assert answer.text
    await until(lambda: telegram.calls("setMyShortDescription"))
    assert len(telegram.calls("setMyCommands")) > len(LANGUAGES)


async def test_a_bridge_that_waits_with_its_menus_ends_at_once(
    house: House, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="setMyCommands", status=429, retry_after=3_000))
    await house.start()
    await until(lambda: telegram.calls("setMyCommands"))
    started = house.clock.monotonic()

    await house.stop()

    assert house.clock.monotonic() - started < 3


async def test_a_new_owner_gets_the_menu_of_owners_with_the_claim(
    house: House, telegram: TelegramEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(menu, "FOR_OWNERS", ("status",))  # one that exists, whatever is made later
    house.set(owners=frozenset())
    await house.start()
    code = await house.store.write(lambda tx: people.new_claim(tx, house.clock.now()))

    await Person(house, chat_id=CHAT).ask(f"/start {code}")

    await until(lambda: [key for key in telegram.commands if str(CHAT) in str(key)])
