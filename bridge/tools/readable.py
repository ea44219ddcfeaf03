"""The text of a page or a PDF file, read by a program of its own.

What is read comes from anyone: a parser may hang in it, fill the memory or crash. So it runs in
another process with limits, which is killed when it takes too long and holds no secret. Run as
`python -m bridge.tools.readable`: the order as JSON in the first line of standard input and the
bytes after it, the answer as JSON on standard output.
"""

import asyncio
import importlib.util
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.agent.tool import ToolFailed
from bridge.settings import harmless_environment

SECONDS: Final = 30.0
MEMORY_BYTES_MAX: Final = 1_500_000_000
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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.tools.readable",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        env=harmless_environment(),
    )
    order = json.dumps({"kind": kind, "url": url, "charset": charset}).encode()
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate(order + b"\n" + data)
    except TimeoutError:
        raise ToolFailed(f"The text of this {kind} could not be read in {SECONDS:.0f} s.") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode != 0:
        raise ToolFailed(f"The text of this {kind} could not be read: download_file can keep it.")
    found = json.loads(output)
    links = tuple((str(address), str(words)) for address, words in found["links"])
    return Readable(title=found["title"], text=found["text"], links=links)


def main() -> None:
    """The other process."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    order = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    found = _pdf(data) if order["kind"] == "pdf" else _html(data, order["url"], order["charset"])
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        json.dump(found, out)


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
    shown = (text or trafilatura.html2txt(page))[:CHARS_MAX]
    if tree is None:
        return {"title": "", "text": shown, "links": []}
    title = " ".join((tree.findtext(".//title") or "").split())[:200]
    tree.make_links_absolute(url, resolve_base_href=True, handle_failures="discard")
    return {"title": title, "text": shown, "links": _links(tree, shown)}


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
    main()
