"""What a job has read from outside, and where it may go after that.

A page can tell the model what to do, and the model may obey. So when a job has read anything that
its user did not write, it asks only addresses that its user wrote or that stand in a result of this
same job: none that a model put together, which could carry what it knows. What was read is told by
the stored conversation, so a worker that starts again knows it too.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from bridge.agent.tool import ToolFailed
from bridge.conversation import (
    DONE_SO_FAR,
    EARLIER,
    Message,
    job_conversation,
    load_all,
    without_tags,
)
from bridge.errors import JobNotFound
from bridge.kinds.payload import shown
from bridge.models import Job, clean_text, short
from bridge.outgoing import NotAllowed, checked
from bridge.queue import Queue
from bridge.received import files_of_job
from bridge.store import Tx
from bridge.tools.ask import OPTION_CHARS_MAX

# Their results are our own words, or the user's; whatever else a tool says is from outside.
OUR_WORDS: Final = frozenset(
    {"report_progress", "attach_file", "ask_user", "write_file", "write_document", "load_skill"}
    | {"remember", "recall", "forget", "finish", "start_background_job"}
)
# Their results hold addresses that others wrote, and nothing that the model gave them.
WEB: Final = frozenset({"web_search", "web_fetch", "browser_open", "browser_read", "browser_click"})
# When these fail, they speak in our words.
OURS_WHEN_FAILED: Final = WEB | {"download_file"}
TYPED_AT: Final = "Typed at "  # begins the result of browser_fill; the site follows
SECRET_CHARS_MIN: Final = 8
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"'`\[\]|]+", re.IGNORECASE)
_BARE: Final = re.compile(r"(?<![@\w./-])(?:[\w-]+\.)+[a-z]{2,}(?:/[^\s<>\"'`\[\]|]*)?", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a job was told: by its user (`request`) and by others (`outside`, with `addresses`)."""

    request: str
    outside: bool
    addresses: frozenset[str]
    typed: frozenset[tuple[str, str]] = frozenset()  # site and text, into pages of a browser

    def check(self, url: str, secrets: Iterable[str]) -> str:
        """The address in one spelling, if it may be asked. Raises: ToolFailed."""
        try:
            asked = _spelled(url)
        except NotAllowed as error:
            raise ToolFailed(str(error)) from None
        if carries(url, secrets):
            raise ToolFailed("This address carries a secret of this machine: it is never asked.")
        if self.outside and asked not in self.addresses:
            raise ToolFailed(
                "This job has read text from outside, so only addresses are asked that its user "
                "wrote or that stand in a search result or on a page it has read; this one does "
                "not. Use one that does, exactly as it stands there, or ask the user for it."
            )
        return asked

    def said(self, text: str) -> bool:
        """Did the user say just these words, in this order?"""
        words = re.escape(" ".join(text.split()))
        whole = rf"(?<!\w){words}(?!\w)"
        return re.search(whole, " ".join(self.request.split()), re.IGNORECASE) is not None


async def heard_so_far(queue: Queue, job: Job) -> Heard:
    """What this job was told, by its stored conversation and that of the job that started it."""
    return await queue.store.read(lambda tx: heard_in(tx, queue, job))


def heard_in(tx: Tx, queue: Queue, job: Job) -> Heard:
    """The same, in a transaction."""
    parent = None
    if job.parent_id is not None:
        with suppress(JobNotFound):  # made by hand: nobody has told it anything
            parent = heard_in(tx, queue, queue.find(tx, job.parent_id, chat_id=job.chat_id))
    return heard(load_all(tx, job_conversation(job.id)), job, parent)


def heard(messages: Sequence[Message], job: Job, parent: Heard | None = None) -> Heard:
    """The same, of these messages; a job with files or earlier work begins with others' text.

    Where its `parent` had read from outside, its instructions are the words of a model that may
    have obeyed a page: an address in them is asked only if the parent might ask it too, and what
    the user said is what the parent was asked.
    """
    prompt, others = _request(job.prompt)
    given = f"{prompt}\n{shown(job.data, None)}"
    named = addresses_in(given, bare=True)
    request, found = [given], []
    outside = others or bool(files_of_job(job)) or job.continues is not None
    if parent is not None and parent.outside:
        outside, named, request = True, named & parent.addresses, [parent.request]
    typed: set[tuple[str, str]] = set()
    uses: dict[str, dict[str, Any]] = {}
    for block in (block for message in messages for block in message.content):
        kind = str(block.get("type"))
        if kind == "tool_use":
            uses[block["id"]] = block
        elif kind == "tool_result":
            use = uses.get(block["tool_use_id"], {})
            name = use.get("name", "")
            failed = bool(block.get("is_error"))
            if name == "ask_user" and not failed and not _offered(use, _text(block)):
                request.append(_text(block))
            if name in WEB and not failed:
                found.append(_text(block))
            if name == "browser_fill" and not failed:
                site = _text(block).removeprefix(TYPED_AT).rstrip(".")
                typed.add((site, str(use["input"].get("text"))))
            outside = outside or not (name in OUR_WORDS or (name in OURS_WHEN_FAILED and failed))
        elif kind.endswith("_tool_result"):  # of a tool that the provider ran
            outside = True
            found.append(_text(block))
    answers = addresses_in("\n".join(request[1:]), bare=True)
    addresses = frozenset({*named, *answers, *addresses_in("\n".join(found))})
    asked = "\n".join(request)
    return Heard(request=asked, outside=outside, addresses=addresses, typed=frozenset(typed))


def _request(prompt: str) -> tuple[str, bool]:
    """What its user asked for, and whether more was put below it: what was said or done before."""
    above, done, _ = prompt.partition(DONE_SO_FAR)
    request, earlier, said = above.partition(EARLIER)
    lines = [line for line in said.splitlines() if line.startswith("user: ")]
    return "\n".join([request, *lines]), bool(done or earlier)


def wrapped(text: str, source: str) -> str:
    """Text from outside as a model gets it: marked as data, in a mark that it cannot close."""
    name = html.escape(source)
    return f'<kitt-untrusted source="{name}">\n{without_tags(text)}\n</kitt-untrusted>'


def addresses_in(text: str, *, bare: bool = False) -> set[str]:
    """Every web address in a text, in one spelling; `bare` also those without https://."""
    tokens = [_trimmed(found) for found in _ADDRESS.findall(text)]
    if bare:
        hosts = [_trimmed(found) for found in _BARE.findall(text)]
        tokens += [f"{scheme}://{host}" for host in hosts for scheme in ("https", "http")]
    found = set()
    for token in tokens:
        try:
            found.add(_spelled(token))
        except NotAllowed:
            continue
    return found


def carries(text: str, secrets: Iterable[str]) -> bool:
    """Does it hold a secret: as it is, or as it is usually packed for an address?"""
    plain = unquote(unquote(text))
    packed = plain.replace("-", "+").replace("_", "/")
    for secret in (secret for secret in secrets if len(secret) >= SECRET_CHARS_MIN):
        coded = base64.b64encode(secret.encode()).decode().rstrip("=")
        if secret in plain or secret.encode().hex() in plain.lower() or coded in packed:
            return True
    return False


def _offered(use: dict[str, Any], answer: str) -> bool:
    """Was this answer put together by the model, for its user to tap?"""
    options = use["input"].get("options") or []
    return any(answer.strip() == short(clean_text(str(o)), OPTION_CHARS_MAX) for o in options)


def _spelled(url: str) -> str:
    return str(checked(url.strip()).copy_with(fragment=None))


def _trimmed(token: str) -> str:
    """Without what belongs to the sentence or the link around it."""
    if "(" not in token:
        token = token.partition(")")[0]
    return token.rstrip(".,;:!?*_~")


def _text(block: Any) -> str:
    """All words in a block, however deep they lie."""
    if isinstance(block, str):
        return block
    if isinstance(block, dict):
        hidden = ("type", "tool_use_id", "encrypted_content", "signature")
        return "\n".join(_text(value) for key, value in block.items() if key not in hidden)
    return "\n".join(_text(item) for item in block) if isinstance(block, list) else ""
