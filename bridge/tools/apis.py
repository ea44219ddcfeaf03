"""Tools that ask the APIs an owner has written down: reading, and changing something.

The model names an API and a path below its address; the address and the key are put there by code.
A job that has read text from outside changes something only when its user allows just that.
"""

import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.apis import Api, read_apis
from bridge.breaker import Breaker
from bridge.contents import plain_text
from bridge.errors import ConfigError
from bridge.logs import redactor
from bridge.outgoing import Fetched, checked
from bridge.tools.approval import need_approval
from bridge.tools.service import Service
from bridge.tools.untrusted import carries, heard_so_far, wrapped

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

log = logging.getLogger(__name__)
ANSWER_CHARS_MAX: Final = 20_000
BODY_CHARS_MAX: Final = 100_000
_PATH: Final = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*")
PATH: Final = {"type": "string", "description": "Below the API's address, such as /lights/3."}
QUERY: Final = {"type": "string", "description": "Without the ?, such as a=1&b=2."}


def api_tools(context: "Context") -> list[Tool]:
    """The tools; none without APIs, or when their file is wrong (which `kitt doctor` says)."""
    try:
        apis = {api.name: api for api in read_apis(context.settings)}
    except ConfigError as error:
        log.warning("No API can be asked: %s", error)
        return []
    reads = [api for api in apis.values() if "GET" in api.methods]
    writes = [api for api in apis.values() if api.methods != ("GET",)]
    tools = [_get_tool(context, apis, reads)] if reads else []
    return [*tools, _request_tool(context, apis, writes)] if writes else tools


def _get_tool(context: "Context", apis: dict[str, Api], reads: list[Api]) -> Tool:
    async def http_get(given: Input) -> str:
        return await _ask(context, apis[given["api"]], "GET", given)

    return Tool(
        name="http_get",
        description=f"Read from an API of the user. {_described(reads)}",
        properties={"api": _names(reads), "path": PATH, "query": QUERY},
        optional=("query",),
        run=http_get,
        repeat="pure",
        parallel=True,
    )


def _request_tool(context: "Context", apis: dict[str, Api], writes: list[Api]) -> Tool:
    async def allow(given: Input) -> None:
        api, method = apis[given["api"]], str(given["method"])
        url = _url(context, api, method, given)
        heard = await heard_so_far(context.queue, context.job)
        if heard.outside:
            what = f"{method} {api.name}: {url.removeprefix(api.address)}\n{given.get('body', '')}"
            await need_approval(context.queue, context.job, "http_request", what.strip())

    async def http_request(given: Input) -> str:
        return await _ask(context, apis[given["api"]], str(given["method"]), given)

    methods = sorted({method for api in writes for method in api.methods if method != "GET"})
    return Tool(
        name="http_request",
        description="Change something through an API of the user, who may have to allow it. "
        + _described(writes),
        properties={
            "api": _names(writes),
            "method": {"type": "string", "enum": methods},
            "path": PATH,
            "query": QUERY,
            "body": {"type": "string", "description": "JSON."},
        },
        optional=("query", "body"),
        allow=allow,
        run=http_request,
        repeat="once",
    )


async def _ask(context: "Context", api: Api, method: str, given: Input) -> str:
    settings, queue = context.settings, context.queue
    url, body = _url(context, api, method, given), str(given.get("body", ""))
    headers = {"Accept": "application/json", **api.headers}
    if body:
        headers["Content-Type"] = "application/json"
    outgoing = context.outgoing.trusting(api.address, inside=api.inside)
    service = Service(
        queue, context.job, outgoing, Breaker(queue.store, queue.clock, settings.owners)
    )
    answer = await service.ask(url, method=method, headers=headers, body=body.encode())
    text = redactor(settings.secrets)(_text(answer))  # some answer with what they were sent
    return f"Status {answer.status}.\n{wrapped(text, api.name)}"


def _url(context: "Context", api: Api, method: str, given: Input) -> str:
    """The whole address, which cannot leave the API's own. Raises: ToolFailed."""
    path, query = str(given["path"]), str(given.get("query", ""))
    if method not in api.methods:
        raise ToolFailed(f"{api.name} allows {', '.join(api.methods)}, not {method}.")
    steps = unquote(unquote(path)).split("/")
    if not _PATH.fullmatch(path) or "//" in path or ".." in steps or "." in steps:
        raise ToolFailed("path must begin with / and hold no ?, # or .., such as /lights/3.")
    if not query.isprintable() or "#" in query or len(str(given.get("body", ""))) > BODY_CHARS_MAX:
        raise ToolFailed("query must be like a=1&b=2, and body is at most 100,000 characters.")
    if carries(f"{path} {query} {given.get('body', '')}", context.settings.secrets):
        raise ToolFailed("This carries a secret of this machine: it is never sent.")
    url = f"{api.address}{path}{'?' if query else ''}{query}"
    assert checked(url).netloc == checked(api.address).netloc
    return url


def _text(answer: Fetched) -> str:
    text = plain_text(answer.body) or ""
    if not text and answer.body.strip():
        return f"({len(answer.body):,} bytes that are no text)"
    if len(text) > ANSWER_CHARS_MAX:
        return f"{text[:ANSWER_CHARS_MAX]}\n(cut: {ANSWER_CHARS_MAX:,} of {len(text):,} characters)"
    return text


def _names(apis: list[Api]) -> dict[str, object]:
    return {"type": "string", "enum": [api.name for api in apis]}


def _described(apis: list[Api]) -> str:
    return " ".join(f"{api.name} ({', '.join(api.methods)}): {api.about}." for api in apis)
