"""Logs: one readable line per record, and no secret in any of them, at whatever level."""

import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Bot
from telegram.error import InvalidToken

from bridge import logs
from bridge.agent.model import AnthropicModel, Request
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import TelegramEmulator

TOKEN = "7000000042:CanaryTokenOfTheBot_0123456789abcdef"
KEY = "sk-ant-canary-key-of-the-provider-0123"
PLAIN = "correct-horse-battery"  # a secret that looks like nothing special
CANARIES = (TOKEN, TOKEN.partition(":")[2], KEY, PLAIN)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What `configure` changes belongs to the whole process."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET_LOGGERS}
    yield
    root.handlers[:], (sys.excepthook, threading.excepthook) = handlers, hooks
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    logging.captureWarnings(False)


@pytest.fixture
def written() -> Callable[[], str]:
    """Everything is logged, also by the loggers that are quiet otherwise; this reads it."""
    stream = io.StringIO()
    logs.configure([TOKEN, KEY, PLAIN], level=logging.DEBUG, stream=stream)
    for name in logs.QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    # But for the thread of a database that another test has closed, which may still say so.
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    return stream.getvalue


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramEmulator]:
    emulator = TelegramEmulator(token=TOKEN)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    emulator = ClaudeEmulator(key=KEY)
    await emulator.start()
    yield emulator
    await emulator.stop()


def assert_clean(text: str) -> None:
    assert text, "nothing was logged, so nothing was tested"
    for canary in CANARIES:
        assert canary not in text


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """The error with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def test_a_record_is_one_line_with_time_level_logger_and_message(
    written: Callable[[], str],
) -> None:
    logging.getLogger("bridge.queue").info("claimed job %d", 42)

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO    bridge\.queue: claimed job 42\n", written()
    )


def test_a_line_end_in_a_message_starts_no_line(written: Callable[[], str]) -> None:
    logging.getLogger("x").warning("%s", "hello\n2026-11-22 07:30:00.000Z INFO  forged\r\x1b[2J")

    assert len(written().splitlines()) == 1
    assert r"hello\n2026" in written()
    assert "\x1b" not in written()


def test_a_stack_stands_below_its_line_indented(written: Callable[[], str]) -> None:
    logging.getLogger("x").error("it broke", exc_info=raised(ValueError("two\nlines")))

    first, *rest = written().splitlines()
    assert first.endswith("ERROR   x: it broke")
    assert all(line.startswith("    ") for line in rest)
    assert "ValueError: two" in written()


def test_a_traceback_shows_no_local_variables(written: Callable[[], str]) -> None:
    def fail() -> None:
        diary = "dear diary"
        raise ValueError(len(diary))

    with pytest.raises(ValueError, match="10") as caught:
        fail()
    logging.getLogger("x").error("it broke", exc_info=caught.value)

    assert "dear diary" not in written()


@pytest.mark.parametrize(
    "text",
    [
        f"token {TOKEN}",
        f"https://api.telegram.org/bot{TOKEN}/getMe",
        f"https://api.telegram.org/bot{TOKEN.replace(':', '%3A')}/getMe",
        f"half of it: {TOKEN.partition(':')[2]}",
        f"{{'x-api-key': '{KEY}'}}",
        f"password={PLAIN}!",
        f"{TOKEN}{KEY}{PLAIN}",
    ],
)
def test_a_known_secret_is_not_written(written: Callable[[], str], text: str) -> None:
    logging.getLogger("x").info(text)

    assert_clean(written())
    assert logs.REDACTED in written()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("123456:AAabcdefghijklmnopqrstuvwxyz!", "[redacted]!"),
        ("/bot77:short/getMe", "/bot[redacted]/getMe"),
        ("https://h/file/bot77%3ashort/a.png", "https://h/file/bot[redacted]/a.png"),
        ("key sk-ant-api03-abc_DEF.", "key [redacted]."),
    ],
)
def test_an_unknown_secret_is_known_by_its_shape(text: str, kept: str) -> None:
    assert logs.redactor([])(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 07:30:00",
        "job 123456: done",
        "https://example.org/bottles/12:30",
        "chat:123456789:0",
        "[::1]:8080",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert logs.redactor(["", "abc", TOKEN])(text) == text


def test_a_short_secret_cuts_no_holes_into_words() -> None:
    assert logs.redactor(["a", "test"])("a test") == "a test"


def test_a_secret_with_another_one_inside_goes_whole() -> None:
    assert logs.redactor(["password", "password-two"])("password-two") == logs.REDACTED


@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8))
def test_a_secret_goes_whole_however_it_is_written(secret: str) -> None:
    redact = logs.redactor([secret])

    for shown in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert redact(f" {shown} ") == f" {logs.REDACTED} "


def test_secrets_in_arguments_names_and_stacks_are_not_written(
    written: Callable[[], str],
) -> None:
    log = logging.getLogger(f"plugin.{PLAIN}")
    log.info("%s %r", TOKEN, {"key": KEY})
    log.error("failed", exc_info=raised(RuntimeError(f"no answer from /bot{TOKEN}/getMe")))
    log.error("chained", exc_info=raised(OSError(PLAIN), cause=KeyError(KEY)))
    log.warning("here", stack_info=True, extra={"token": TOKEN})

    assert_clean(written())


def test_the_repr_of_a_bot_in_an_exception_is_not_written(written: Callable[[], str]) -> None:
    bot = Bot(TOKEN)
    assert TOKEN in repr(bot), "the library hides it by itself now"

    logging.getLogger("x").error("%r", bot, exc_info=raised(ValueError(f"{bot!r} and {bot}")))

    assert_clean(written())


async def test_nothing_telegram_logs_or_raises_at_debug_shows_the_token(
    written: Callable[[], str], telegram: TelegramEmulator
) -> None:
    async with Bot(TOKEN, telegram.base_url, telegram.base_file_url) as bot:
        await bot.get_me()
    wrong = TOKEN[:-1] + "X"
    with pytest.raises(InvalidToken) as refused:
        async with Bot(wrong, telegram.base_url):
            pass
    logging.getLogger("x").error("refused", exc_info=refused.value)

    assert_clean(written())
    assert wrong not in written()
    assert "httpx: HTTP Request: POST" in written()


async def test_nothing_the_provider_s_client_logs_at_debug_shows_the_key(
    written: Callable[[], str], claude: ClaudeEmulator
) -> None:
    model = AnthropicModel(key=KEY, base_url=claude.base_url)
    request = Request(
        model="claude-haiku-5-5",
        system="Short.",
        messages=[{"role": "user", "content": "Hello"}],
        tools=[],
        max_tokens=50,
    )
    await model.stream(request)
    await model.close()

    assert_clean(written())
    assert "httpx2: HTTP Request: POST" in written()


@pytest.mark.parametrize("name", logs.QUIET_LOGGERS)
def test_talkative_libraries_are_quiet_at_every_level(name: str) -> None:
    stream = io.StringIO()
    logs.configure([], level="DEBUG", stream=stream)

    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("matters")

    assert "chatter" not in stream.getvalue()
    assert "matters" in stream.getvalue()


def test_a_higher_level_holds_for_libraries_too() -> None:
    stream = io.StringIO()
    logs.configure([], level="ERROR", stream=stream)

    logging.getLogger("httpx").warning("chatter")

    assert not stream.getvalue()


def test_a_second_call_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure([], stream=first)
    logs.configure([PLAIN], stream=second)

    logging.getLogger("x").info("once %s", PLAIN)

    assert not first.getvalue()
    assert second.getvalue().count("once") == 1
    assert PLAIN not in second.getvalue()


def test_other_handlers_get_the_record_as_it_was(written: Callable[[], str]) -> None:
    seen: list[logging.LogRecord] = []

    class Other(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    log = logging.getLogger("x")
    log.addHandler(other := Other())
    log.info("%s", PLAIN)
    log.removeHandler(other)

    assert seen[0].args == (PLAIN,)
    assert_clean(written())


def test_a_faulty_log_call_shows_its_place_and_not_its_arguments() -> None:
    stream = io.StringIO()
    log = logging.Logger("alone")
    log.addHandler(logs.RedactingHandler(stream, logs.redactor([])))

    log.info("%d", "dear diary")

    assert "test_logs.py" in stream.getvalue()
    assert "TypeError" in stream.getvalue()
    assert "dear diary" not in stream.getvalue()


def test_a_closed_stream_stops_nobody() -> None:
    stream = io.StringIO()
    log = logging.Logger("alone")
    log.addHandler(logs.RedactingHandler(stream, logs.redactor([])))
    stream.close()

    log.info("into the void")


def test_an_error_nobody_caught_is_logged_without_its_secrets(written: Callable[[], str]) -> None:
    error = raised(RuntimeError(f"bot {TOKEN}"))

    sys.excepthook(type(error), error, error.__traceback__)

    assert_clean(written())
    assert "CRITICAL" in written()
    assert "RuntimeError: bot [redacted]" in written()


def test_ctrl_c_is_no_error(written: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert not written()
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_an_error_in_a_thread_is_logged_without_its_secrets(written: Callable[[], str]) -> None:
    def fail() -> None:
        raise RuntimeError(f"key {KEY}")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    assert_clean(written())
    assert "RuntimeError: key [redacted]" in written()


def test_a_thread_that_ends_itself_is_no_error(written: Callable[[], str]) -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    assert not written()


def test_warnings_go_the_same_way(written: Callable[[], str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated: {PLAIN}", stacklevel=1)

    assert_clean(written())
    assert "py.warnings" in written()


def test_standard_error_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure([PLAIN])

    logging.getLogger("bridge").info("hello %s", PLAIN)
    logging.getLogger("bridge").debug("details")

    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.endswith("bridge: hello [redacted]\n")
