"""What a program may take for an address, in the arguments of a tool that others have made.

Such a program decides itself what it asks, and is generous about it: `//host`, `https:host`, a bare
host, a value with a line break in it. So a value that begins with an address is an address as a
whole, and a value that is one word counts as one when it could be a host. In sentences only what
says that it is an address counts, or has a path: names of files and abbreviations are none.
"""

import re
import unicodedata
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

from bridge.agent.tool import Input, ToolFailed
from bridge.tools.untrusted import Heard

# Ends of names of files and of words; those of the second kind are also ends of hosts.
_FILES: Final = re.compile(
    r"cfg|conf|cpp|css|csv|docx?|eml|env|gif|gz|html?|ics|ini|ipynb|java|jpe?g|jsonl?|jsx?|lock|log"
    r"|lua|od[pst]|parquet|pdf|php|png|pptx?|rst|rtf|sql|sqlite|svg|tar|tex|toml|tsv|tsx?|txt|vcf|wav"
    r"|webp|xlsx?|xml|ya?ml"
)
_BOTH: Final = re.compile(r"md|mov|py|rs|sh|zip")
_WEB: Final = re.compile(
    r"(?:https?|wss?|ftps?):/*(?=[^\s/])|(?<![\w/:.])//(?=[^\s/]*[.:\]])", re.IGNORECASE
)
_OTHER: Final = re.compile(r"(?:[a-z][a-z0-9+.-]{0,30}://+|mailto:)(?=[^\s/])", re.IGNORECASE)
_ANY: Final = re.compile(rf"(?:{_WEB.pattern}|{_OTHER.pattern})\S+", re.IGNORECASE)
_NAME: Final = r"(?:[\w-]+\.)+(?:xn--[\w-]+|[^\W\d_]{2,})\.?|\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]+\]"
_HOST: Final = re.compile(rf"(?:[^\s/@]*@)?({_NAME})(:\d+)?([/?#]\S*)?", re.IGNORECASE)
_SCP: Final = re.compile(rf"[^\s/@]+@(?:{_NAME}):\S+", re.IGNORECASE)
# Chinese ends sentences with what is a dot to programs when it stands in the name of a host.
_SINO: Final = "\u3040-\u30ff\u3400-\u9fff"
_DOT: Final = re.compile(rf"(?<=[^\W{_SINO}])。|。(?=[^\W{_SINO}])")
_IN_TEXT: Final = re.compile(rf"(?<![\w/.-])({_NAME})(:\d+)?([/?]\S*)", re.IGNORECASE)


def check_addresses(heard: Heard, given: Input, secrets: tuple[str, ...]) -> None:
    """May a tool with a network be given this? Raises: ToolFailed."""
    if heard.outside:
        for value in _texts(given):
            for address in _addresses(value):
                if not heard.said(address):
                    _check(heard, address, secrets)


def _check(heard: Heard, address: str, secrets: tuple[str, ...]) -> None:
    """Was it read? Where nobody says by which scheme it is asked, by one of them is enough."""
    web, scheme, rest = _WEB.match(address), "", address
    if web is not None:
        scheme, rest = web[0].rstrip("/").lower(), address[web.end() :]
    if scheme in ("http:", "https:"):
        heard.check(f"{scheme}//{rest}", secrets)
    elif scheme or _OTHER.match(address) or _is_bare(address):
        raise ToolFailed(
            "This job has read text from outside, so a tool with a network is given no address "
            "but web addresses that its user wrote or that it has read."
        )
    else:
        try:
            heard.check(f"https://{rest}", secrets)
        except ToolFailed:
            heard.check(f"http://{rest}", secrets)


def _addresses(value: str) -> Iterator[str]:
    """Each as it would be asked; what stands around those inside a text is left out."""
    whole = re.sub(r"[\t\r\n]", "", value.strip())  # as programs read an address
    if _ANY.match(whole):
        yield from [] if _is_file(whole) else [whole]
    elif _is_bare(whole):
        yield whole
    elif host := _HOST.fullmatch(whole):
        yield from [] if _is_name_of_file(host) else [whole]
    else:
        tokens = [found[0] for found in _ANY.finditer(value) if not _is_file(found[0])]
        hosts = [found[0] for found in _IN_TEXT.finditer(value) if not _is_name_of_file(found)]
        yield from map(_without_marks, [*tokens, *hosts])


def _is_name_of_file(host: re.Match[str]) -> bool:
    """`report.pdf`, `notes.md`, `main.py:12`."""
    labels = host[1].lower().split(".")
    if _BOTH.fullmatch(labels[-1]):
        return len(labels) == 2 and not host[3]
    return _FILES.fullmatch(labels[-1]) is not None


def _is_bare(text: str) -> bool:
    """An address that is none of the web: as git takes it, or of IPv6 without brackets."""
    try:
        return _SCP.fullmatch(text) is not None or ip_address(text).version == 6
    except ValueError:
        return False


def _is_file(address: str) -> bool:
    return address.lower().startswith("file:///") and "://" not in address[7:]


def _without_marks(token: str) -> str:
    """Without what belongs to the sentence or the link around it."""
    token = re.split(r"[<>\"'`\[\]|]", token, maxsplit=1)[0] or token
    return (token if "(" in token else token.partition(")")[0]).rstrip(".,;:!?*_~")


def _texts(value: Any) -> Iterator[str]:
    """Every text in the arguments, names of fields too, as a program may read it."""
    if isinstance(value, str):
        plain = unicodedata.normalize("NFKC", value).replace("\\", "/")
        plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
        yield _DOT.sub(".", plain)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
