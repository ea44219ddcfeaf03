"""The text of a page or a PDF file, read in another process: it may come from anyone."""

import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from bridge.agent.tool import ToolFailed
from bridge.tools import apart

CHARS_MAX: Final = 1_000_000
LINKS_MAX: Final = 150
LINK_CHARS_MAX: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """What a person would read there. `links` are those that `text` does not show."""

    title: str
    text: str
    links: tuple[tuple[str, str], ...] = ()  # address, words


def can_read() -> bool:
    """Is the extra `web` installed?"""
    return importlib.util.find_spec("trafilatura") is not None


async def readable(data: bytes, *, kind: str, url: str, charset: str = "") -> Readable:
    """The text of a page (`html`) or a file (`pdf`). Cancelling this ends the other process.

    Raises: ToolFailed when it cannot be read.
    """
    order = {"kind": kind, "url": url, "charset": charset}
    try:
        found, _ = await apart.ask("readable", order, data)
    except apart.NoAnswer as error:
        text = f"The text of this {kind} could not be read (it {error}): download_file can keep it."
        raise ToolFailed(text) from None
    links = tuple((str(address), str(words)) for address, words in found["links"])
    return Readable(title=found["title"], text=found["text"], links=links)


def _read(order: dict[str, Any], data: bytes) -> apart.Answer:
    if order["kind"] == "pdf":
        return _pdf(data), b""
    return _html(data, order["url"], order["charset"]), b""


def _html(data: bytes, url: str, charset: str) -> dict[str, Any]:
    import trafilatura

    page: str | bytes = data
    with suppress(LookupError):
        page = data.decode(charset, "replace") if charset else data
    text = trafilatura.extract(
        page,
        url=url,
        output_format="markdown",
        include_links=True,
        include_tables=True,
        favor_recall=True,
    )
    tree = trafilatura.load_html(page)
    shown = (text or trafilatura.html2txt(page) or _piece(page))[:CHARS_MAX]
    if tree is None:
        return {"title": "", "text": shown, "links": []}
    title = " ".join((tree.findtext(".//title") or "").split())[:200]
    tree.make_links_absolute(url, resolve_base_href=True, handle_failures="discard")
    return {"title": title, "text": shown, "links": _links(tree, shown)}


def _piece(page: str | bytes) -> str:
    """The text of a few words of HTML without the page around them."""
    from trafilatura import html2txt
    from trafilatura.utils import decode_file

    whole = html2txt(f"<html><body>{decode_file(page)}</body></html>")
    return str(whole)


def _links(tree: Any, shown: str) -> list[tuple[str, str]]:
    """Links that the text does not show: menus, the next page."""
    found: dict[str, str] = {}
    for link in tree.iter("a"):
        address = str(link.get("href") or "").partition("#")[0].strip()
        if address.startswith(("http://", "https://")) and f"({address})" not in shown:
            words = " ".join(link.text_content().split())[:LINK_CHARS_MAX]
            found[address] = found.get(address) or words
    return list(found.items())[:LINKS_MAX]


def _pdf(data: bytes) -> dict[str, Any]:
    import io

    import pypdf

    parts: list[str] = []
    for number, page in enumerate(pypdf.PdfReader(io.BytesIO(data)).pages, 1):
        parts.append(f"[Page {number}]\n{page.extract_text()}")
        if sum(map(len, parts)) > CHARS_MAX:
            break
    return {"title": "", "text": "\n\n".join(parts)[:CHARS_MAX], "links": []}


if __name__ == "__main__":
    apart.serve(_read)
