"""`kitt doctor`: over which of both internets, IPv4 and IPv6, Telegram can be reached.

A machine that has addresses of a kind that leads nowhere loses seconds with every new connection,
and nothing but a look at each kind by itself tells why.
"""

import asyncio
import errno
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from bridge.doctor_jobs import Check
from bridge.settings import Settings

CONNECT_S: Final = 5.0
FAMILIES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
_NONE_HERE: Final = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
Address = tuple[str, int]


async def network_checks(settings: Settings) -> list[Check]:
    """One sentence about the ways to Telegram."""
    asked = urlsplit(settings.telegram_base_url)
    host, port = asked.hostname or "", asked.port or (80 if asked.scheme == "http" else 443)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        text = f"The name {host} leads to no address: look at the machine's DNS and network."
        return [Check("network", "warning", text)]
    first = {FAMILIES[row[0]]: (str(row[4][0]), port) for row in reversed(found)}
    return [verdict(host, await reached(first))]


async def reached(addresses: Mapping[str, Address]) -> dict[str, str]:
    """For each family what kept a connection from being made: "" when it was."""
    failures = await asyncio.gather(*(_failure(*address) for address in addresses.values()))
    return dict(zip(addresses, failures, strict=True))


async def _failure(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return "none" if error.errno in _NONE_HERE else "refused"
    writer.close()
    return ""


def verdict(host: str, failures: Mapping[str, str]) -> Check:
    """What that means. A machine without one of both loses nothing: it is told so at once.

    Nothing here is a problem by itself: whether Telegram answers is another question of the doctor.
    """
    good = [family for family, failure in failures.items() if not failure]
    bad = [family for family, failure in failures.items() if failure not in ("", "none")]
    if not good:
        text = f"{host} cannot be reached without a proxy: look at the network and its firewall."
        return Check("network", "warning", text)
    if bad:
        text = (
            f"{host} can be reached over {good[0]} but not over {bad[0]}, which this machine tries "
            f"too: answers may come seconds late. Repair {bad[0]} here or turn it off."
        )
        return Check("network", "warning", text)
    return Check("network", "ok", f"{host} can be reached over {' and '.join(good)}.")
