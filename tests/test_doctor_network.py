"""`kitt doctor` tells which of IPv4 and IPv6 leads to Telegram."""

import asyncio
import socket

import pytest

from bridge.doctor_network import network_checks, reached, verdict
from bridge.settings import Settings


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("failures", "status", "words"),
    [
        ({"IPv4": "", "IPv6": ""}, "ok", "can be reached over IPv4 and IPv6."),
        ({"IPv4": "", "IPv6": "none"}, "ok", "can be reached over IPv4."),
        ({"IPv6": ""}, "ok", "can be reached over IPv6."),
        (
            {"IPv4": "", "IPv6": "no answer"},
            "warning",
            "over IPv4 but not over IPv6, which this machine tries too: answers may come seconds "
            "late. Repair IPv6 here or turn it off.",
        ),
        ({"IPv4": "refused", "IPv6": ""}, "warning", "over IPv6 but not over IPv4"),
        ({"IPv4": "no answer", "IPv6": "none"}, "warning", "cannot be reached"),
    ],
)
def test_one_sentence_says_what_works_and_what_to_do(
    failures: dict[str, str], status: str, words: str
) -> None:
    found = verdict("api.telegram.org", failures)

    assert (found.name, found.status) == ("network", status)
    assert found.message.startswith("api.telegram.org can")
    assert words in found.message


async def test_each_way_is_tried_by_itself() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async with server:
        found = await reached({"IPv4": ("127.0.0.1", port), "IPv6": ("127.0.0.1", a_free_port())})

    assert found == {"IPv4": "", "IPv6": "refused"}


async def test_the_address_that_is_set_is_looked_at() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(telegram_base_url=f"http://127.0.0.1:{port}/bot")

    async with server:
        (good,) = await network_checks(settings)
    (bad,) = await network_checks(settings)

    assert (good.status, bad.status) == ("ok", "warning")
