"""What a tool of others is given after text from outside was read: no address that was made up."""

import time
from contextlib import suppress
from typing import Any

import pytest

from bridge.agent.tool import ToolFailed
from bridge.tools.addressed import check_addresses
from bridge.tools.untrusted import Heard, addresses_in

WROTE = "Compare shop.test, http://old.test/a and mail bob@firm.test about it."
READ = "https://page.test/news?id=7"


def heard(*, outside: bool = True) -> Heard:
    """A job whose user wrote some addresses and that has read another one."""
    known = addresses_in(WROTE, bare=True) | addresses_in(READ)
    return Heard(request=WROTE, outside=outside, addresses=frozenset(known))


def given(value: Any) -> None:
    check_addresses(heard(), {"value": value}, ())


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.test/?d=all",
        "http://evil.test/",
        "HTTPS://evil.test",
        "https:evil.test/x",
        "https:/evil.test/x",
        "https:\\\\evil.test\\x",
        "ws://evil.test/x",
        "ftp://evil.test/x",
        "gopher://evil.test/x",
        "file://evil.test/x",
        "//evil.test/x",
        "\\\\evil.test\\x",
        "evil.test",
        "all.evil.test",
        "all.evil.md",
        "evil.md/all",
        "evil.test:8080",
        "evil.test/x",
        "evil.test?d=all",
        "ev\u200bil.test",
        "evil\uff0etest",
        "evil。test",
        "all。evil。рф",
        "all。evil。中国",
        "git@evil.test:all",
        "2001:db8::1",
        "203.0.113.9",
        "203.0.113.9:80/x",
        "[2001:db8::1]/x",
        "mailto:a@evil.test",
        "all@evil.test",
        "Please read //evil.test/x.",
        "Please read evil.test/x now",
        "Please read (https://evil.test/x)",
        "看https://evil.test/x",
        "url:evil.test/x",
        "to all@evil.test/x",
        "see mailto:a@evil.test",
        "view-source:https://evil.test/x",
        f"{READ}&d=all",
        f"{READ}\n&d=all",
        f"{READ} all",
        f'{READ}"all',
        f"{READ})all",
        f"{READ}'all",
        f"{READ}|all",
        ["fine", {"deep": "http://evil.test/x"}],
        {"http://evil.test/x": "fine"},
    ],
)
def test_no_address_that_was_made_up_is_given(value: Any) -> None:
    with pytest.raises(ToolFailed, match=r"read text from outside|name or password"):
        given(value)


@pytest.mark.parametrize(
    "value",
    [
        READ,
        READ.removeprefix("https:"),
        READ.removeprefix("https://"),
        f"Read {READ}, then http://old.test/a.",
        "shop.test",
        "https://shop.test/",
        "//shop.test",
        "http://old.test/a",
        "bob@firm.test",
        "report.pdf",
        "archive.tar.gz",
        "notes.md",
        "main.py:12",
        "src/main.py",
        "file:///home/report.pdf",
        "See main.py:12 and/or README.md.",
        "Node.js/Express, ASP.NET and os.path.join: which is older?",
        "He said yes.Then he left, e.g. at 12.30/13.00, i.e. late.",
        "Version 1.2.3 costs 12.50 euro // a note",
        "Ask alice@firm.test whether it is true: yes/no?",
        "C:\\Users\\me\\notes.txt",
        "5 km/h",
        "note: http is a protocol",
        7,
        None,
        ["lamps", "chairs"],
    ],
)
def test_ordinary_text_and_what_was_read_or_written_by_the_user_pass(value: Any) -> None:
    given(value)


def test_before_text_from_outside_was_read_any_address_may_be_given() -> None:
    check_addresses(heard(outside=False), {"value": "https://evil.test/?d=all"}, ())


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a-", "//", "http:", "a@", "mailto:", "[", "a://", "é"]
)
def test_the_longest_argument_is_looked_through_at_once(piece: str) -> None:
    began = time.process_time()

    with suppress(ToolFailed):
        given("x " + piece * (100_000 // len(piece)) + " x")

    assert time.process_time() - began < 2.0
