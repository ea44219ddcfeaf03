"""Tools that reach the web: pages as text, files into the job's folder, searching.

Where the provider runs such tools itself, those are used: its machines see no network of ours. An
owner who sets a search service wants that one, and then pages are fetched from here too. What comes
from outside is marked as data, and addresses pass `untrusted` first and `outgoing` always.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Final

from bridge import contents
from bridge.agent.providers import provider_of
from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.breaker import Breaker
from bridge.outgoing import Fetched, Limits, NotAllowed, NotReached
from bridge.settings import Settings
from bridge.tools.readable import Readable, can_read, readable
from bridge.tools.search import RESULTS_MAX, Backend, Hit, backend_of
from bridge.tools.service import Service
from bridge.tools.untrusted import carries, heard_so_far, wrapped
from bridge.tools.workspace import Workspace

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

PART_CHARS: Final = 20_000  # about 5k tokens
FILE: Final = Limits(bytes_max=25_000_000, seconds=300.0)
QUERY_CHARS_MAX: Final = 400
HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
TEXTS: Final = ("application/json", "application/xml", "application/yaml", "application/javascript")
ADDRESS: Final = {"type": "string", "description": "https://…, exactly as it was found."}


def web_tools(context: "Context") -> list[Tool]:
    """The tools, in a fixed order; no pages without the extra `web`, no search without one set."""
    searches = backend_of(context.settings)
    theirs = provider_has_web(context.settings)
    tools = [_download_tool(context)]
    if can_read() and not theirs:
        tools.append(_fetch_tool(context))
    if searches is not None:
        tools.append(_search_tool(context, searches))
    return tools


def provider_has_web(settings: Settings) -> bool:
    """Does the provider search and fetch for the jobs?"""
    return not settings.search and bool(provider_of(settings, settings.worker_model).server_tools)


def _fetch_tool(context: "Context") -> Tool:
    async def web_fetch(given: Input) -> str:
        part = int(given.get("part", 1))
        answer = await _get(context, str(given["url"]), Limits())
        return wrapped(_part(await _readable(answer), part), answer.url)

    return Tool(
        name="web_fetch",
        description="Read a web page or PDF file as text, with its links. A long one has parts.",
        properties={
            "url": ADDRESS,
            "part": {"type": "integer", "description": "1 is the first."},
        },
        optional=("part",),
        run=web_fetch,
        repeat="pure",
        parallel=True,
    )


def _download_tool(context: "Context") -> Tool:
    async def download_file(given: Input) -> str:
        workspace: Workspace = context.workspace
        path = str(given["path"])
        answer = await _get(context, str(given["url"]), FILE)
        await asyncio.to_thread(workspace.write, path, answer.body)
        kind, _ = contents.kind_of(answer.body, "unknown type")
        return f"Wrote {path} ({kind}, {len(answer.body):,} bytes)."

    return Tool(
        name="download_file",
        description="Put a file from the web (25 MB at most) into this job's folder.",
        properties={
            "url": ADDRESS,
            "path": {"type": "string", "description": "Relative, e.g. report.pdf."},
        },
        run=download_file,
        repeat="idempotent",
    )


def _search_tool(context: "Context", backend: Backend) -> Tool:
    settings, queue = context.settings, context.queue
    breaker = Breaker(queue.store, queue.clock, settings.owners)

    async def web_search(given: Input) -> str:
        query = " ".join(str(given["query"]).split())
        if not query or len(query) > QUERY_CHARS_MAX:
            raise ToolFailed(f"query must have 1 to {QUERY_CHARS_MAX} characters.")
        if carries(query, settings.secrets):
            raise ToolFailed("This query carries a secret of this machine: it is never asked.")
        question = backend.question(query)
        service = Service(queue, context.job, context.outgoing.trusting(question.url), breaker)
        answer = await service.ask(
            question.url, method=question.method, headers=question.headers, body=question.body
        )
        if answer.status != 200:
            raise ToolFailed(f"The search service answers {answer.status}: go on without it.")
        return wrapped(_listed(_hits(backend, answer.body)), settings.search)

    return Tool(
        name="web_search",
        description="Search the web. Gives titles, addresses and a few words of each.",
        properties={"query": {"type": "string", "description": "As for a search engine."}},
        run=web_search,
        repeat="pure",
        parallel=True,
    )


async def _get(context: "Context", url: str, limits: Limits) -> Fetched:
    """What lies there. Raises: ToolFailed, also for an answer that is an error."""
    heard = await heard_so_far(context.queue, context.job)
    asked = heard.check(url, context.settings.secrets)
    try:
        answer = await context.outgoing.fetch(asked, limits=limits, who=f"Job {context.job.id}")
    except (NotAllowed, NotReached) as error:
        raise ToolFailed(str(error)) from error
    if not 200 <= answer.status < 300:
        raise ToolFailed(f"The site answers {answer.status}: try another page.")
    return answer


async def _readable(answer: Fetched) -> Readable:
    kind, data = answer.media_type, answer.body
    if kind in HTML or (not kind and data.lstrip()[:1] == b"<"):
        return await readable(data, kind="html", url=answer.url, charset=answer.charset)
    if data.startswith(b"%PDF-"):
        return await readable(data, kind="pdf", url=answer.url)
    if not kind or kind.startswith("text/") or kind in TEXTS or kind.endswith(("+json", "+xml")):
        text = contents.plain_text(data)
        if text is not None:
            return Readable(title="", text=text)
    shown = kind if kind.replace("/", "").replace("-", "").isalnum() else "something unknown"
    raise ToolFailed(f"This is no page but {shown[:40]}: download_file puts it into the folder.")


def _part(page: Readable, number: int) -> str:
    """One part of a long text, with what leads on from there."""
    parts = [page.text[at : at + PART_CHARS] for at in range(0, len(page.text), PART_CHARS)]
    if not page.text.strip():
        parts = ["(The page has no text without its scripts; the browser may show some.)"]
    if not 1 <= number <= len(parts):
        raise ToolFailed(f"The page has {len(parts)} parts: part must be 1 to {len(parts)}.")
    lines = [f"Title: {page.title}"] if page.title else []
    if len(parts) > 1:
        lines.append(f"(Part {number} of {len(parts)}.)")
    lines.append(parts[number - 1])
    if page.links and number == 1:
        lines += ["", "Other links:", *(f"- {words}: {address}" for address, words in page.links)]
    return "\n".join(lines)


def _hits(backend: Backend, body: bytes) -> list[Hit]:
    try:
        return backend.hits(json.loads(body))[:RESULTS_MAX]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ToolFailed("The search service answers what cannot be read.") from None


def _listed(hits: list[Hit]) -> str:
    found = [f"{hit.title}\n{hit.url}\n{hit.words}" for hit in hits]
    return "\n\n".join(found) or "Nothing was found."
