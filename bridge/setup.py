"""`kitt setup`: the first run, from nothing to a bot that waits for its owner.

It asks for the bot's token and the provider's key, tries both, writes them to `.env` and shows a
code that makes whoever sends it to the bot its owner. Nothing is written before everything was
asked and tried; no secret is ever shown, stored in the database or passed as an argument.
"""

import asyncio
import getpass
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from bridge import people
from bridge.agent.fallback import model_of
from bridge.agent.model import Request
from bridge.clock import Clock
from bridge.env_file import write_env_file
from bridge.errors import ConfigError, KittError, ModelRefused, ModelUnavailable, TryLater
from bridge.process import prepare_folders
from bridge.settings import Secret, Settings
from bridge.store import Store

if TYPE_CHECKING:
    import httpx
    from telegram import Bot

INTERRUPTED: Final = 130  # as a shell reports a program ended by Ctrl-C
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 10.0
KEY_TIMEOUT_S: Final = 30.0  # a model may take a while for its first token


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFacts:
    """What Telegram says about a token.

    `webhook_host` is empty without a webhook; the rest of its address may be a secret of its owner.
    `groups`: it can be put into groups; `topics`: private chats with it have topics.
    `skew_s`: how far our clock is ahead of Telegram's, to about a second; None when not told.
    """

    username: str
    webhook_host: str
    skew_s: float | None
    groups: bool = False
    topics: bool = False

    @property
    def words(self) -> str:
        """What people can do with it, as sentences for the terminal."""
        groups = "It can be put into groups." if self.groups else "It cannot be put into groups."
        topics = " Private chats with it have topics." if self.topics else ""
        return groups + topics


def run(
    environ: Mapping[str, str] | None,
    *,
    env_file: Path,
    interactive: bool,
    ask: Callable[[str], str] = getpass.getpass,
    ask_aloud: Callable[[str], str] = input,
    say: Callable[[str], None] = print,
    clock: Clock | None = None,
) -> int:
    """Set KITT up; the exit code.

    `ask` reads a secret without showing it, `ask_aloud` an answer to a question; neither is called
    unless `interactive`. Then what the environment and `.env` hold is taken, and the first thing
    that is missing or wrong ends it with one sentence: 78, or 75 when waiting may help.
    Ctrl-C and the end of the input: nothing is written, 130.
    """
    talk = _Talk(interactive=interactive, ask=ask, ask_aloud=ask_aloud, say=say)
    try:
        outcome = _ask_and_write(environ, env_file, talk, clock or Clock())
    except (KeyboardInterrupt, EOFError):
        say(f"\nStopped: {env_file} is as it was.")
        return INTERRUPTED
    except KittError as error:
        say(str(error))
        return error.exit_code
    _say_what_next(outcome, env_file, say)
    used = _secrets(Settings.load(environ, env_file=env_file))
    for name, value in _secrets(outcome.settings).items():
        if used[name] != value:
            say(f"The environment has another {name}, which wins: take it out there.")
    return 0


def _ask_and_write(
    environ: Mapping[str, str] | None, env_file: Path, talk: "_Talk", clock: Clock
) -> "_Outcome":
    settings = Settings.load(environ, env_file=env_file)
    _check_before_asking(settings, env_file, talk)
    settings, facts = _settle_token(settings, talk, clock)
    if facts is not None and facts.webhook_host:
        _settle_webhook(settings, facts, talk)
    settings = _settle_key(settings, talk)
    prepare_folders(settings)
    code, owned = asyncio.run(_make_claim(settings, clock))
    # Last, in one step: whatever stops this before has left the file as it was.
    write_env_file(env_file, _secrets(settings))
    return _Outcome(settings, facts, code, owned)


class _Outcome(NamedTuple):
    settings: Settings
    facts: BotFacts | None
    code: str
    owned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """The person at the terminal, if there is one."""

    interactive: bool
    ask: Callable[[str], str]
    ask_aloud: Callable[[str], str]
    say: Callable[[str], None]

    def secret(self, what: str, present: Secret) -> Secret:
        """A secret typed in, or the present one; without a terminal the present one."""
        if not self.interactive:
            return present
        keep = " (Enter keeps the present one)" if present else ""
        return Secret(self.ask(f"{what}{keep}: ").strip() or present.reveal())

    def tell(self, text: str) -> None:
        """Say it on the way; without a terminal only the outcome is said."""
        if self.interactive:
            self.say(text)

    def admit(self, error: KittError) -> None:
        """Say it and let the person try again; without one it is the end."""
        if not self.interactive:
            raise error
        self.say(str(error))

    def agrees(self, question: str, *, hidden: bool = False) -> bool:
        """Whether the answer is yes; Enter is no. `hidden`: a secret may be pasted here instead."""
        ask = self.ask if hidden else self.ask_aloud
        return ask(f"{question} [y/N] ").strip().lower() in ("y", "yes", "j", "ja")


def _settle_token(
    settings: Settings, talk: _Talk, clock: Clock
) -> tuple[Settings, BotFacts | None]:
    """The settings with a token Telegram knows; no facts when it could not be asked."""
    if not settings.telegram_token:
        talk.tell("Open @BotFather in Telegram, send it /newbot, and copy the token here.")
    while True:
        token = talk.secret("Bot token", settings.telegram_token)
        tried = replace(settings, telegram_token=token)
        if not token:
            talk.tell("KITT cannot do without a token. Ctrl-C stops.")
            continue
        try:
            facts = asyncio.run(ask_telegram(tried, clock))
        except ConfigError as error:
            talk.admit(error)
            settings = replace(settings, telegram_token=Secret(""))  # Enter must not repeat it
        except TryLater as error:
            talk.admit(error)
            if talk.agrees("Keep this token without trying it?", hidden=True):
                return tried, None
        else:
            talk.tell(f"The token is that of @{facts.username}. {facts.words}")
            return tried, facts


def _settle_webhook(settings: Settings, facts: BotFacts, talk: _Talk) -> None:
    """With a webhook Telegram sends nothing to KITT; it may be another program's."""
    found = f"@{facts.username} sends its messages to a webhook at {facts.webhook_host}"
    if not talk.interactive:
        raise ConfigError(f"{found}: run `kitt setup` in a terminal to remove it.")
    talk.tell(f"{found}; KITT gets none as long as it is there.")
    if not talk.agrees("Remove the webhook? Whatever uses it now will hear nothing more."):
        talk.tell("The webhook stays: remove it before you start KITT, or make a new bot.")
        return
    try:
        asyncio.run(remove_webhook(settings))
        talk.tell("The webhook is removed.")
    except TryLater as error:
        talk.tell(f"{error} The webhook stays.")


def _settle_key(settings: Settings, talk: _Talk) -> Settings:
    """The settings with a key the provider accepts, or one its owner wants to keep anyway."""
    while True:
        key = talk.secret("API key of the model provider", settings.anthropic_key)
        tried = replace(settings, anthropic_key=key)
        if not key:
            talk.tell("KITT cannot do without a key: make one in the provider's console.")
            continue
        try:
            asyncio.run(try_key(tried))
        except (ConfigError, TryLater) as error:
            talk.admit(error)
            # Refused may also mean: no credit yet, or a model this account does not have.
            if talk.agrees("Keep this key and go on?", hidden=True):
                return tried
        else:
            talk.tell(f"The key is accepted for {settings.model}.")
            return tried


async def _make_claim(settings: Settings, clock: Clock) -> tuple[str, bool]:
    """A claim code, and whether the bot has an owner already."""
    store = await Store.open(settings.database, settings.run_dir)
    try:
        code = await store.write(lambda tx: people.new_claim(tx, clock.now()))
        return code, bool(await store.read(lambda tx: people.owners(tx, settings.owners)))
    finally:
        await store.close()


def _say_what_next(outcome: _Outcome, env_file: Path, say: Callable[[str], None]) -> None:
    minutes = int(people.CLAIM_LIFE.total_seconds() // 60)
    say(f"The token and the key are in {env_file}, which only you can read.")
    say("1. Start KITT: kitt up")
    say(f"2. Within {minutes} minutes, in a private chat with the bot:")
    if outcome.facts is not None:
        say(f"   open https://t.me/{outcome.facts.username}?start={outcome.code}")
    # Telegram Desktop leaves the code out of the link in a chat that exists already.
    say(f"   {'or ' if outcome.facts else ''}send it: /start {outcome.code}")
    first = "Whoever does so first owns the bot; until then nobody can use it."
    again = "The bot has an owner already: the code makes one more, and may stay unused."
    say(again if outcome.owned else first)


def _secrets(settings: Settings) -> dict[str, str]:
    return {
        "TELEGRAM_BOT_TOKEN": settings.telegram_token.reveal(),
        "ANTHROPIC_API_KEY": settings.anthropic_key.reveal(),
    }


def _check_before_asking(settings: Settings, env_file: Path, talk: _Talk) -> None:
    folder = env_file.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{folder} cannot be written: run `kitt setup` in a folder of yours, it keeps .env."
        )
    missing = " and ".join(name for name, value in _secrets(settings).items() if not value)
    if missing and not talk.interactive:
        raise ConfigError(
            f"{missing} must be in the environment or .env, or run `kitt setup` in a terminal."
        )


async def ask_telegram(settings: Settings, clock: Clock) -> BotFacts:
    """Ask who the bot is and whether a webhook takes its messages away.

    Raises: ConfigError when there is no token or Telegram does not know it; TryLater when Telegram
    does not answer.
    """
    skews: list[float] = []

    async def note_date(answer: "httpx.Response") -> None:
        with suppress(ValueError, TypeError):  # a proxy may tell a date that is none
            told = parsedate_to_datetime(answer.headers.get("date", ""))
            skews.append((clock.now() - told).total_seconds())

    with _telegram_errors_translated():
        async with _bot(settings, [note_date]) as bot:
            webhook = await bot.get_webhook_info()
            return BotFacts(
                username=bot.username,
                groups=bool(bot.bot.can_join_groups),
                topics=bool(bot.bot.has_topics_enabled),
                webhook_host=(urlsplit(webhook.url).hostname or "?") if webhook.url else "",
                skew_s=skews[-1] if skews else None,
            )


async def remove_webhook(settings: Settings) -> None:
    """Let messages come to whoever asks for them; those that wait are kept.

    Raises: as `ask_telegram`.
    """
    with _telegram_errors_translated():
        async with _bot(settings, []) as bot:
            await bot.delete_webhook(drop_pending_updates=False)


def _bot(settings: Settings, on_answer: "list[Callable[[httpx.Response], object]]") -> "Bot":
    """A bot that only asks. Its repr holds the token: never log or format it."""
    token = settings.need_token()
    from telegram import Bot
    from telegram.request import HTTPXRequest

    request = HTTPXRequest(
        connection_pool_size=1,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=ANSWER_TIMEOUT_S,
        httpx_kwargs={
            "event_hooks": {"response": on_answer},
            # Loading all certificates takes 0.1 s, and plain HTTP has no use for them.
            "verify": settings.telegram_base_url.startswith("https:"),
        },
    )
    return Bot(
        token,
        base_url=settings.telegram_base_url,
        base_file_url=settings.telegram_base_file_url,
        request=request,
        get_updates_request=request,  # never used, and one of its own would load them again
    )


@contextmanager
def _telegram_errors_translated() -> Iterator[None]:
    """The library's errors as ours, without them: InvalidToken quotes the token (measured)."""
    from telegram.error import InvalidToken, TelegramError

    try:
        yield
    except InvalidToken:
        raise ConfigError(
            "Telegram does not accept TELEGRAM_BOT_TOKEN: copy it again from @BotFather."
        ) from None
    except TelegramError as error:
        reason = type(error.__cause__ or error).__name__
        raise TryLater(
            f"Telegram cannot be reached now ({reason}): check the network and TELEGRAM_BASE_URL."
        ) from None


async def try_key(settings: Settings) -> None:
    """Ask the model of the chat for one token.

    Raises: ConfigError when there is no key or the provider refuses it or the request; TryLater
    when the provider does not answer.
    """
    key = settings.need_key()
    if not re.fullmatch(r"[!-~]+", key):
        raise ConfigError(
            "ANTHROPIC_API_KEY holds a space or a character that no key has: copy it again."
        )
    model = model_of(replace(settings, fallback_model=""))
    request = Request(
        model=settings.model,
        system="Answer with one word.",
        messages=[{"role": "user", "content": "Are you there?"}],
        tools=[],
        max_tokens=1,
    )
    try:
        async with asyncio.timeout(KEY_TIMEOUT_S):
            await model.stream(request)
    except ModelRefused as error:
        raise ConfigError(str(error)) from None
    except (ModelUnavailable, TimeoutError) as error:
        raise TryLater(str(error) or "The model provider did not answer in time.") from None
    finally:
        await model.close()
