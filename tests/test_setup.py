"""`kitt setup` against the emulated services: what it asks, tries, writes and never shows."""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from fakes import FakeClock, shell
from hypothesis import given
from hypothesis import strategies as st

from bridge import people, setup
from bridge.emulator import claude as claude_module
from bridge.emulator import claude_faults, telegram_faults
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.env_file import write_env_file
from bridge.errors import ConfigError
from bridge.settings import Settings, read_env_file
from bridge.store import Store

TOKEN, KEY = DEMO_BOT, claude_module.KEY
OTHER_TOKEN = "7000000002:AAAnotherBotOnLoopbackOnly00000000"
BOT_USERNAME = "kitt_demo_bot"

Typed = str | type[BaseException]


class Terminal:
    """A person who types what was planned; remembers what they were asked and told."""

    def __init__(self, *hidden: Typed, aloud: tuple[Typed, ...] = ()) -> None:
        self._hidden, self._aloud = list(hidden), list(aloud)
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, prompt: str) -> str:
        return self._answer(prompt, self._hidden)

    def ask_aloud(self, prompt: str) -> str:
        return self._answer(prompt, self._aloud)

    def _answer(self, prompt: str, plan: list[Typed]) -> str:
        self.asked.append(prompt)
        assert plan, f"asked once more than planned: {prompt}"
        typed = plan.pop(0)
        if isinstance(typed, str):
            return typed
        raise typed

    @property
    def seen(self) -> str:
        return "\n".join([*self.asked, *self.told])

    @property
    def code(self) -> str:
        found = re.search(r"/start ([\w-]{22})$", self.seen, re.MULTILINE)
        assert found
        return found[1]

    @property
    def done(self) -> bool:
        return not self._hidden and not self._aloud


class House:
    """The folder `kitt setup` is called in, and the addresses of the services."""

    def __init__(self, folder: Path, telegram_url: str, claude_url: str) -> None:
        self.env_file = folder / ".env"
        self.profile = folder / "profile"
        self.environ = {
            "KITT_PROFILE": str(self.profile),
            "TELEGRAM_BASE_URL": telegram_url,
            "ANTHROPIC_BASE_URL": claude_url,
        }
        self.clock = FakeClock()

    async def set_up(self, terminal: Terminal, *, interactive: bool = True) -> int:
        return await asyncio.to_thread(
            setup.run,
            self.environ,
            env_file=self.env_file,
            interactive=interactive,
            ask=terminal.ask,
            ask_aloud=terminal.ask_aloud,
            say=terminal.told.append,
            clock=self.clock,
        )

    def write_env(self, text: str) -> None:
        self.env_file.touch(mode=0o600)
        self.env_file.write_text(text)

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environ, env_file=self.env_file)

    @property
    def untouched(self) -> bool:
        return not self.env_file.exists() and not self.profile.exists()


@pytest.fixture(autouse=True)
def umask_as_it_was() -> Iterator[None]:
    """Setting up makes the process private; here it is everybody's."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramEmulator]:
    emulator = TelegramEmulator(token=TOKEN, username=BOT_USERNAME)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    emulator = ClaudeEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
def house(tmp_path: Path, telegram: TelegramEmulator, claude: ClaudeEmulator) -> House:
    return House(tmp_path, telegram.base_url, claude.base_url)


@pytest.fixture
def complete(house: House) -> House:
    """A house whose environment holds both secrets."""
    house.environ |= {"TELEGRAM_BOT_TOKEN": TOKEN, "ANTHROPIC_API_KEY": KEY}
    return house


class Webhook:
    """A Bot API whose bot has a webhook; the emulator's never has one."""

    def __init__(self) -> None:
        self.url = "https://other.example/hook/a-secret-path"
        self.deleted_with: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if method == "deleteWebhook":
            self.deleted_with.append({k: str(v) for k, v in (await request.post()).items()})
            return web.json_response({"ok": True, "result": True})
        me = {"id": 7, "is_bot": True, "first_name": "Hooked", "username": "hooked_bot"}
        info = {"url": self.url, "has_custom_certificate": False, "pending_update_count": 0}
        return web.json_response({"ok": True, "result": me if method == "getMe" else info})


@pytest.fixture
async def hooked(complete: House) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    app = web.Application()
    app.router.add_route("*", "/bot{token}/{method}", webhook.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    complete.environ["TELEGRAM_BASE_URL"] = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    yield webhook
    await runner.cleanup()


async def claims(house: House, code: str) -> bool:
    """Whether the bridge would make the sender of this code an owner."""
    store = await Store.open(house.settings.database, house.settings.run_dir)
    try:
        return await store.write(
            lambda tx: people.claim(tx, code, 42, "Anna", "nl", house.clock.now())
        )
    finally:
        await store.close()


# A first run


async def test_a_first_run_keeps_both_secrets(house: House) -> None:
    terminal = Terminal(TOKEN, KEY)

    assert await house.set_up(terminal) == 0
    assert terminal.done
    assert house.settings.telegram_token.reveal() == TOKEN
    assert house.settings.anthropic_key.reveal() == KEY


async def test_what_people_can_do_with_the_bot_is_said(house: House) -> None:
    terminal = Terminal(TOKEN, KEY)

    await house.set_up(terminal)

    assert f"The token is that of @{BOT_USERNAME}. It can be put into groups." in terminal.seen


def test_a_bot_that_is_closed_to_groups_and_has_topics_is_shown_so() -> None:
    facts = setup.BotFacts(username="b", webhook_host="", skew_s=None, groups=False, topics=True)

    assert facts.words == "It cannot be put into groups. Private chats with it have topics."


async def test_secrets_pasted_with_spaces_are_taken_without(house: House) -> None:
    assert await house.set_up(Terminal(f"  {TOKEN} ", f"{KEY}\t")) == 0
    assert read_env_file(house.env_file) == {"TELEGRAM_BOT_TOKEN": TOKEN, "ANTHROPIC_API_KEY": KEY}


async def test_the_file_is_private_whatever_the_umask_is(house: House) -> None:
    os.umask(0)

    await house.set_up(Terminal(TOKEN, KEY))

    assert stat.S_IMODE(house.env_file.stat().st_mode) == 0o600


async def test_it_shows_the_link_and_the_text_and_what_comes_next(house: House) -> None:
    terminal = Terminal(TOKEN, KEY)
    await house.set_up(terminal)

    assert f"https://t.me/{BOT_USERNAME}?start={terminal.code}" in terminal.seen
    assert f"/start {terminal.code}" in terminal.seen
    for word in ("10 minutes", "private chat", "kitt up"):
        assert word in terminal.seen


async def test_the_code_it_shows_makes_an_owner(house: House) -> None:
    terminal = Terminal(TOKEN, KEY)
    await house.set_up(terminal)

    assert await claims(house, terminal.code)


async def test_the_code_it_shows_ends_after_ten_minutes(house: House) -> None:
    terminal = Terminal(TOKEN, KEY)
    await house.set_up(terminal)
    house.clock.advance(600)

    assert not await claims(house, terminal.code)


async def test_no_secret_is_shown_or_kept_in_the_database(house: House) -> None:
    terminal = Terminal("no token", OTHER_TOKEN, TOKEN, "sk-ant-wrong-0000", "n", KEY)
    assert await house.set_up(terminal) == 0

    kept = b"".join(path.read_bytes() for path in house.profile.rglob("*") if path.is_file())
    for secret in (TOKEN, OTHER_TOKEN, "sk-ant-wrong-0000", KEY):
        assert secret not in terminal.seen
        assert secret.encode() not in kept
    assert terminal.code.encode() not in kept


async def test_the_key_is_tried_with_one_request_for_one_token(
    house: House, claude: ClaudeEmulator
) -> None:
    await house.set_up(Terminal(TOKEN, KEY))

    assert [(record.status, record.body["max_tokens"]) for record in claude.requests] == [(200, 1)]


async def test_telegram_is_asked_nothing_that_disturbs(
    house: House, telegram: TelegramEmulator
) -> None:
    await house.set_up(Terminal(TOKEN, KEY))

    assert [call.method for call in telegram.calls()] == ["getMe", "getWebhookInfo"]


# What is there already


async def test_enter_keeps_what_the_file_holds(house: House) -> None:
    house.write_env(f"TELEGRAM_BOT_TOKEN={TOKEN}\nANTHROPIC_API_KEY={KEY}\n")
    terminal = Terminal("", "")

    assert await house.set_up(terminal) == 0
    assert all("Enter keeps" in question for question in terminal.asked)
    assert read_env_file(house.env_file) == {"TELEGRAM_BOT_TOKEN": TOKEN, "ANTHROPIC_API_KEY": KEY}


async def test_enter_keeps_what_the_environment_holds(complete: House) -> None:
    assert await complete.set_up(Terminal("", "")) == 0
    assert read_env_file(complete.env_file)["ANTHROPIC_API_KEY"] == KEY


async def test_other_lines_of_the_file_stay(house: House) -> None:
    house.write_env("# mine\nKITT_WORKERS=3\n\nexport TELEGRAM_BOT_TOKEN='old'\n# end")

    await house.set_up(Terminal(TOKEN, KEY))

    assert house.env_file.read_text() == (
        f"# mine\nKITT_WORKERS=3\n\nexport TELEGRAM_BOT_TOKEN={TOKEN}\n# end\n"
        f"ANTHROPIC_API_KEY={KEY}\n"
    )


async def test_it_says_when_the_environment_will_win(house: House) -> None:
    house.environ["TELEGRAM_BOT_TOKEN"] = OTHER_TOKEN
    terminal = Terminal(TOKEN, KEY)

    assert await house.set_up(terminal) == 0
    assert "The environment has another TELEGRAM_BOT_TOKEN" in terminal.told[-1]


async def test_a_second_run_says_that_there_is_an_owner(house: House) -> None:
    first, second = Terminal(TOKEN, KEY), Terminal("", "")
    await house.set_up(first)
    await claims(house, first.code)

    assert await house.set_up(second) == 0
    assert "has an owner already" in second.told[-1]
    assert "Whoever does so first" in first.told[-1]


async def test_a_wrong_setting_ends_it_before_anything_is_asked(house: House) -> None:
    house.environ["KITT_WROKERS"] = "3"
    terminal = Terminal()

    assert await house.set_up(terminal) == 78
    assert "KITT_WROKERS" in terminal.told[0]
    assert len(terminal.told) == 1
    assert house.untouched


# The token


@pytest.mark.parametrize("typed", ["", "hello", "12:AA", f"bot{TOKEN}", TOKEN[:20]])
async def test_what_is_no_token_is_asked_again_and_never_sent(
    house: House, telegram: TelegramEmulator, typed: str
) -> None:
    terminal = Terminal(typed, TOKEN, KeyboardInterrupt)  # at the question for the key

    assert await house.set_up(terminal) == 130
    assert len(telegram.calls("getMe")) == 1


async def test_a_token_telegram_does_not_know_is_asked_again(house: House) -> None:
    terminal = Terminal(OTHER_TOKEN, TOKEN, KEY)

    assert await house.set_up(terminal) == 0
    assert "does not accept TELEGRAM_BOT_TOKEN" in terminal.seen
    assert house.settings.telegram_token.reveal() == TOKEN


async def test_enter_does_not_keep_a_token_that_was_refused(house: House) -> None:
    house.write_env(f"TELEGRAM_BOT_TOKEN={OTHER_TOKEN}\n")
    terminal = Terminal("", "", TOKEN, KeyboardInterrupt)

    assert await house.set_up(terminal) == 130
    assert "Enter keeps" in terminal.asked[0]
    assert "Enter keeps" not in terminal.asked[1]


async def test_a_token_can_be_kept_while_telegram_is_away(
    house: House, telegram: TelegramEmulator
) -> None:
    telegram.order(telegram_faults.Fault(drop="refused"))
    terminal = Terminal(TOKEN, "y", KEY)

    assert await house.set_up(terminal) == 0
    assert "Telegram cannot be reached now" in terminal.seen
    assert "t.me" not in terminal.seen
    assert await claims(house, terminal.code)


async def test_a_token_can_be_tried_again(house: House, telegram: TelegramEmulator) -> None:
    telegram.order(telegram_faults.Fault(status=502))
    terminal = Terminal(TOKEN, "", TOKEN, KeyboardInterrupt)

    assert await house.set_up(terminal) == 130
    assert f"@{BOT_USERNAME}" in terminal.seen


# A webhook


async def test_a_webhook_is_removed_when_its_owner_agrees(complete: House, hooked: Webhook) -> None:
    terminal = Terminal("", KeyboardInterrupt, aloud=("yes",))  # at the question for the key

    assert await complete.set_up(terminal) == 130
    assert len(hooked.deleted_with) == 1
    assert hooked.deleted_with[0].get("drop_pending_updates", "false") == "false"


async def test_a_webhook_stays_when_nobody_agrees(complete: House, hooked: Webhook) -> None:
    terminal = Terminal("", "", aloud=("",))

    assert await complete.set_up(terminal) == 0
    assert not hooked.deleted_with
    assert "The webhook stays" in terminal.seen


async def test_a_webhook_is_named_without_its_path(complete: House, hooked: Webhook) -> None:
    terminal = Terminal("", KeyboardInterrupt, aloud=("n",))
    await complete.set_up(terminal)

    assert "other.example" in terminal.seen
    assert "a-secret-path" not in terminal.seen


async def test_without_a_terminal_a_webhook_is_never_removed(
    complete: House, hooked: Webhook
) -> None:
    terminal = Terminal()

    assert await complete.set_up(terminal, interactive=False) == 78
    assert not hooked.deleted_with
    assert complete.untouched


# The key


async def test_a_key_the_provider_refuses_is_asked_again(house: House) -> None:
    terminal = Terminal(TOKEN, "sk-ant-wrong", "n", KEY)

    assert await house.set_up(terminal) == 0
    assert "does not accept ANTHROPIC_API_KEY" in terminal.seen
    assert house.settings.anthropic_key.reveal() == KEY


async def test_a_key_may_be_kept_although_it_is_refused(
    house: House, claude: ClaudeEmulator
) -> None:
    claude.order(claude_faults.Fault(status=400))
    terminal = Terminal(TOKEN, KEY, "y")

    assert await house.set_up(terminal) == 0
    assert house.settings.anthropic_key.reveal() == KEY


@pytest.mark.parametrize("status", [429, 529])
async def test_a_key_can_be_kept_while_the_provider_is_away(
    house: House, claude: ClaudeEmulator, status: int
) -> None:
    claude.order(claude_faults.Fault(status=status))
    terminal = Terminal(TOKEN, KEY, "y")

    assert await house.set_up(terminal) == 0
    assert "not available now" in terminal.seen


async def test_an_address_where_nobody_listens_is_a_provider_that_is_away(house: House) -> None:
    house.environ["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:1"
    terminal = Terminal(TOKEN, KEY, "y")

    assert await house.set_up(terminal) == 0
    assert "cannot be reached" in terminal.seen


@pytest.mark.parametrize("typed", ["", "my key", "sleutel-é"])
async def test_what_is_no_key_is_never_sent(
    house: House, claude: ClaudeEmulator, typed: str
) -> None:
    terminal = Terminal(TOKEN, typed, *(("n",) if typed else ()), KEY)

    assert await house.set_up(terminal) == 0
    assert len(claude.requests) == 1


# Without a terminal


async def test_without_a_terminal_it_takes_what_the_environment_has(complete: House) -> None:
    terminal = Terminal()

    assert await complete.set_up(terminal, interactive=False) == 0
    assert not terminal.asked
    assert await claims(complete, terminal.code)
    assert read_env_file(complete.env_file)["TELEGRAM_BOT_TOKEN"] == TOKEN


@pytest.mark.parametrize(
    "missing",
    [("TELEGRAM_BOT_TOKEN",), ("ANTHROPIC_API_KEY",), ("TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY")],
)
async def test_without_a_terminal_one_sentence_names_what_is_missing(
    complete: House, telegram: TelegramEmulator, missing: tuple[str, ...]
) -> None:
    for name in missing:
        del complete.environ[name]
    terminal = Terminal()

    assert await complete.set_up(terminal, interactive=False) == 78
    assert len(terminal.told) == 1
    assert all(name in terminal.told[0] for name in missing)
    assert complete.untouched
    assert not telegram.calls()


@pytest.mark.parametrize("name", ["TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY"])
@pytest.mark.parametrize("value", [OTHER_TOKEN, "not one", "x\nKITT_OWNER=1"])
async def test_without_a_terminal_a_wrong_secret_ends_it(
    complete: House, name: str, value: str
) -> None:
    complete.environ[name] = value
    terminal = Terminal()

    assert await complete.set_up(terminal, interactive=False) == 78
    assert len(terminal.told) == 1
    assert value not in terminal.seen
    assert complete.untouched


async def test_without_a_terminal_services_that_are_away_are_a_reason_to_wait(
    complete: House, telegram: TelegramEmulator, claude: ClaudeEmulator
) -> None:
    claude.order(claude_faults.Fault(status=529))
    assert await complete.set_up(Terminal(), interactive=False) == 75

    telegram.order(telegram_faults.Fault(status=500))
    assert await complete.set_up(Terminal(), interactive=False) == 75
    assert complete.untouched


# Being stopped, and nowhere to write


@pytest.mark.parametrize("stop", [KeyboardInterrupt, EOFError])
@pytest.mark.parametrize("typed", [(), (TOKEN,), (TOKEN, "sk-ant-wrong")])
async def test_ctrl_c_at_any_question_writes_nothing(
    house: House, stop: type[BaseException], typed: tuple[str, ...]
) -> None:
    terminal = Terminal(*typed, stop)

    assert await house.set_up(terminal) == 130
    assert house.untouched


async def test_ctrl_c_leaves_an_older_file_as_it_was(house: House) -> None:
    house.write_env("# mine\n")

    assert await house.set_up(Terminal(TOKEN, KeyboardInterrupt)) == 130
    assert house.env_file.read_text() == "# mine\n"


async def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(
    house: House,
) -> None:
    house.env_file = house.env_file.parent / "missing" / ".env"
    terminal = Terminal()

    assert await house.set_up(terminal) == 78
    assert len(terminal.told) == 1
    assert "cannot be written" in terminal.told[0]


async def test_a_profile_that_cannot_be_made_ends_it_with_one_sentence(house: House) -> None:
    house.profile.write_text("a file")
    terminal = Terminal(TOKEN, KEY)

    assert await house.set_up(terminal) == 78
    assert "must be a folder" in terminal.told[-1]
    assert not house.env_file.exists()


# The file


@given(value=st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" ")))
def test_every_value_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.env"

    write_env_file(path, {"NAME": value, "OTHER": "1"})

    assert read_env_file(path) == {"NAME": value, "OTHER": "1"}


@pytest.mark.parametrize("value", ["two\nlines", "a\x00", "a\u2028b", "a\x85b"])
def test_a_value_that_would_end_its_line_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="NAME holds") as refused:
        write_env_file(tmp_path / ".env", {"NAME": value})

    assert value not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_an_old_secret_does_not_stay_in_a_second_line(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("NAME=old\nOTHER=1\n  NAME = older\nNAMES=mine\n#NAME=note\n")

    write_env_file(path, {"NAME": r"new\1"})

    assert path.read_text() == "NAME='new\\1'\nOTHER=1\n  NAME='new\\1'\nNAMES=mine\n#NAME=note\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    link, target = tmp_path / ".env", tmp_path / "safe" / "env"
    link.symlink_to(target)

    write_env_file(link, {"NAME": "value"})

    assert link.is_symlink()
    assert read_env_file(target) == {"NAME": "value"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["missing/.env", "file/.env", "folder"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(ConfigError, match="cannot be written"):
        write_env_file(tmp_path / place, {"NAME": "value"})

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


async def test_the_claim_is_the_only_one_in_the_database(house: House) -> None:
    await house.set_up(Terminal(TOKEN, KEY))
    await house.set_up(Terminal("", ""))

    assert len(shell(house.settings.database, "SELECT * FROM claims")) == 1
