"""What a delivery looks like: from a job or an answer to the parts that Telegram takes.

A part is plain data (it is stored before it is sent): `text`, `edit`, `rich`, `edit_rich`,
`buttons`, `delete`, `card`, `document`, `photo`, `album` or `files`, with what the call needs;
`of_job` says which job it shows, and how. Up to three messages go inline; a longer text becomes
its beginning and a `.md` file.

What reads Markdown is loaded with the first text: an idle process does not pay for the parser.
"""

from typing import Any, Final

from bridge.models import Delivery, Job
from bridge.preferences import Rich
from bridge.telegram.gate import Press
from bridge.telegram.render import render, utf16_length
from bridge.telegram.split import split
from bridge.telegram.texts import say

Part = dict[str, Any]
INLINE_MESSAGES_MAX: Final = 3
BEGINNING_CHARS: Final = 1_200
INLINE_CHARS_MAX: Final = 16_000  # a longer text is not rendered whole: it goes into the file
TEXT_UNITS_MAX: Final = 4_040  # Telegram's 4,096, less a line that says "possibly repeated"


def text_parts(
    markdown: str,
    *,
    language: str,
    file_name: str,
    reply_to: int | None = None,
    result_of: int | None = None,
    rich: Rich = "off",
) -> list[Part]:
    """A Markdown text as messages: only the last one rings, no file. Long code goes into files.

    `result_of` is the job whose result it is the beginning of: its file is read when it is sent.
    `rich` is what the chat has chosen.
    """
    from bridge.telegram.code_files import take_out

    whole = len(markdown) <= INLINE_CHARS_MAX
    code: list[tuple[str, str]] = []
    if whole or result_of is None:
        stem = file_name.rpartition(".")[0]
        markdown, code = take_out(markdown, language=language, stem=stem)
    files = [{"do": "document", "name": n, "content": c, "silent": True} for n, c in code]
    if rich != "off" and len(markdown) <= INLINE_CHARS_MAX and _wants_rich(markdown, rich):
        part = {"do": "rich", "markdown": markdown, "file_name": file_name, "reply_to": reply_to}
        return [part, *files]
    return [*_messages(markdown, language, file_name, reply_to, result_of), *files]


def _wants_rich(markdown: str, rich: Rich) -> bool:
    from bridge.telegram.rich import worth_it

    return bool(markdown.strip()) and (rich == "always" or worth_it(markdown))


def _messages(
    markdown: str, language: str, file_name: str, reply_to: int | None, result_of: int | None
) -> list[Part]:
    """The text as at most three messages, or as its beginning and a file."""
    from bridge.telegram.rich import tables_of

    markdown = markdown if markdown.strip() else "…"  # Telegram takes no empty message or file
    inline = len(markdown) <= INLINE_CHARS_MAX
    pieces = split(render(markdown), limit=TEXT_UNITS_MAX) if inline else []
    in_file = not 0 < len(pieces) <= INLINE_MESSAGES_MAX
    if in_file:
        beginning = f"{_beginning(markdown)}\n\n{say(language, 'result_in_file')}"
        pieces = split(render(beginning))
    parts: list[Part] = [
        {
            "do": "text",
            "text": piece.text,
            "entities": [entity.to_dict() for entity in piece.entities],
            "silent": index < len(pieces) - 1,
        }
        for index, piece in enumerate(pieces)
    ]
    parts[0]["reply_to"] = reply_to
    if inline and (tables := tables_of(markdown)):
        parts[-1]["tables"] = tables
    if in_file:
        source = {"content": markdown} if result_of is None else {"result_of": result_of}
        parts.append({"do": "document", "name": file_name, "silent": True, **source})
    return parts


def replacing(parts: list[Part], message_id: int) -> list[Part]:
    """The same, but the first of them replaces a message that is in the chat already."""
    do = "edit_rich" if parts[0]["do"] == "rich" else "edit"
    return [{**parts[0], "do": do, "message_id": message_id}, *parts[1:]]


def plain_part(text: str, *, reply_to: int | None = None, silent: bool = False) -> Part:
    """One short text of our own."""
    return {"do": "text", "text": text, "entities": [], "reply_to": reply_to, "silent": silent}


def marked(part: Part, language: str) -> Part:
    """The same text with a line that says it may be a repeat; its entities move along."""
    mark = say(language, "repeated") + "\n"
    shift = utf16_length(mark)
    entities = [{**item, "offset": item["offset"] + shift} for item in part["entities"]]
    return {**part, "text": mark + part["text"], "entities": entities}


def in_place(press: Press, part: Part) -> list[Part]:
    """Shown in the message that was tapped; as a new one when Telegram does not say which."""
    part = {**part, "silent": True}
    if press.message_id is None:
        return [part]
    return [{**part, "do": "edit", "message_id": press.message_id}]


def result_parts(
    job: Job, files: list[dict[str, str]], *, language: str, rich: Rich = "off"
) -> list[Part]:
    """A finished job: its answer as a reply to the request, then its files."""
    notes = {"budget": "result_cut_by_budget", "fallback": "result_by_fallback"}
    note = f"{say(language, notes[job.held_by])}\n\n" if job.held_by in notes else ""
    parts = text_parts(
        note + (job.result or ""),
        language=language,
        file_name=f"kitt-{job.id}.md",
        reply_to=job.request_message_id,
        result_of=job.id,
        rich=rich,
    )
    return [*parts, *files_part(job.id, files)]


def files_part(job_id: int, files: list[dict[str, str]]) -> list[Part]:
    """The files of a job, as rows of files_to_send; how they go is planned when they are sent."""
    return [{"do": "files", "job": job_id, "files": files}] if files else []


def alert_part(delivery: Delivery, *, language: str) -> Part:
    """What an owner is told of the machinery (alerts.py)."""
    alert, values = delivery.payload["alert"], delivery.payload["values"]
    return plain_part(say(language, f"alert_{alert}", **values))


def _beginning(markdown: str) -> str:
    """The first paragraphs, at most about 1,200 characters."""
    head = markdown[:BEGINNING_CHARS]
    if len(markdown) <= BEGINNING_CHARS:
        return head
    cut = head.rfind("\n\n")
    return (head[:cut] if cut > BEGINNING_CHARS // 3 else head).rstrip() + " …"
