"""What a delivery looks like: from a job or an answer to the parts that Telegram takes.

A part is plain data (it is stored before it is sent): `text`, `edit`, `card`, `document` or
`photo`, with what the call needs. Up to three messages go inline; a longer text becomes its
beginning and a `.md` file.
"""

from typing import Any, Final

from bridge.clock import moment
from bridge.models import Delivery, Job, JobStatus
from bridge.telegram.buttons import Signer
from bridge.telegram.gate import Press
from bridge.telegram.render import render
from bridge.telegram.split import split
from bridge.telegram.texts import cause, say

Part = dict[str, Any]
INLINE_MESSAGES_MAX: Final = 3
BEGINNING_CHARS: Final = 1_200
INLINE_CHARS_MAX: Final = 16_000  # a longer text is not rendered whole: it goes into the file
TEXT_UNITS_MAX: Final = 4_040  # Telegram's 4,096, less a line that says "possibly repeated"
PHOTO_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")


def text_parts(
    markdown: str, *, language: str, file_name: str, reply_to: int | None = None
) -> list[Part]:
    """A Markdown text as messages: only the last one rings."""
    markdown = markdown if markdown.strip() else "…"  # Telegram takes no empty message or file
    pieces = (
        split(render(markdown), limit=TEXT_UNITS_MAX) if len(markdown) <= INLINE_CHARS_MAX else []
    )
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
    if in_file:
        parts.append({"do": "document", "name": file_name, "content": markdown})
    return parts


def plain_part(text: str, *, reply_to: int | None = None, silent: bool = False) -> Part:
    """One short text of our own."""
    return {"do": "text", "text": text, "entities": [], "reply_to": reply_to, "silent": silent}


def in_place(press: Press, part: Part) -> list[Part]:
    """Shown in the message that was tapped; as a new one when Telegram does not say which."""
    part = {**part, "silent": True}
    if press.message_id is None:
        return [part]
    return [{**part, "do": "edit", "message_id": press.message_id}]


def result_parts(job: Job, files: list[dict[str, str]], *, language: str) -> list[Part]:
    """A finished job: its answer as a reply to the request, then its files."""
    parts = text_parts(
        job.result or "",
        language=language,
        file_name=f"kitt-{job.id}.md",
        reply_to=job.request_message_id,
    )
    for file in files:
        photo = file["name"].lower().endswith(PHOTO_SUFFIXES)
        parts.append({"do": "photo" if photo else "document", "job": job.id, **file})
    return parts


def failure_parts(job: Job, signer: Signer, *, language: str) -> list[Part]:
    """A job that failed for good: what, why, and a button to try again."""
    key = "failed_title" if job.failures > 1 else "failed_title_one"
    title = say(language, key, id=job.id, attempts=job.failures)
    why = say(language, "cause", cause=cause(language, job.error))
    piece = split(render(f"**{title}** · {job.name}\n\n{why}"))[0]
    return [
        {
            "do": "text",
            "text": piece.text,
            "entities": [entity.to_dict() for entity in piece.entities],
            "reply_to": job.request_message_id,
            "silent": False,
            "buttons": signer.row(
                job.chat_id,
                (say(language, "button_retry"), "jr", job.id),
                (say(language, "button_details"), "jd", job.id),
            ),
        }
    ]


def question_parts(job: Job, *, language: str) -> list[Part]:
    """A job asks its user something; the answer is any message that says so."""
    title = f"**❓ #{job.id}** · {job.name}"
    text = f"{title}\n\n{job.question}\n\n{say(language, 'question_how')}"
    return text_parts(
        text, language=language, file_name=f"kitt-{job.id}.md", reply_to=job.request_message_id
    )


def alert_part(delivery: Delivery, *, language: str) -> Part:
    """What an owner is told of the machinery (alerts.py)."""
    alert, values = delivery.payload["alert"], delivery.payload["values"]
    return plain_part(say(language, f"alert_{alert}", **values))


def card_text(
    job: Job, *, language: str, elapsed_s: float, before: int = 0, tokens: int = 0
) -> str:
    """The card of a job as it stands now; edited in place until the job has ended."""
    lines = [job.acknowledgement, ""] if job.acknowledgement else []
    if job.status.final:
        sign, key = {
            JobStatus.DONE: ("✅", "card_done"),
            JobStatus.FAILED: ("❌", "card_failed"),
            JobStatus.CANCELLED: ("⏹", "card_cancelled"),
        }[job.status]
        ended = f" · {clock_text(duration_s(job))}" if job.started_at else ""
        return "\n".join([*lines, f"{sign} #{job.id} · {job.name}", f"{say(language, key)}{ended}"])
    lines.append(f"🛠 #{job.id} · {job.name}")
    if job.status is JobStatus.RUNNING:
        lines += _running_lines(job, language=language, elapsed_s=elapsed_s, tokens=tokens)
    elif job.status is JobStatus.PENDING:
        key = "card_pending_after" if before else "card_pending"
        lines.append(say(language, key, before=before))
    elif job.status is JobStatus.SCHEDULED:
        lines.append(say(language, "card_scheduled", at=(job.run_at or "")[:16]))
    else:
        lines.append(say(language, f"card_{job.status}"))
    return "\n".join(lines)


def _running_lines(job: Job, *, language: str, elapsed_s: float, tokens: int) -> list[str]:
    lines = []
    if job.progress is not None:
        full = round(job.progress / 10)
        lines.append(f"{'▰' * full}{'▱' * (10 - full)} {job.progress:.0f} %")
    lines.append(f"⚙️ {job.step or say(language, 'card_started')}")
    facts = [f"⏱ {clock_text(elapsed_s)}"]
    if tokens >= 1_000:
        facts.append(say(language, "card_tokens", tokens=round(tokens / 1_000)))
    if job.failures:
        facts.append(
            say(
                language,
                "card_again",
                attempt=job.failures + 1,
                max_attempts=job.max_attempts,
            )
        )
    lines.append(" · ".join(facts))
    return lines


def card_buttons(job: Job, signer: Signer, *, language: str) -> list[list[dict[str, str]]]:
    """Cancel while it lives; nothing that does nothing."""
    if job.status.final:
        return []
    return signer.row(job.chat_id, (say(language, "button_cancel"), "jc", job.id))


def duration_s(job: Job) -> float:
    """Seconds from the first claim to the end; 0 when it has not both."""
    if not job.started_at or not job.completed_at:
        return 0.0
    return (moment(job.completed_at) - moment(job.started_at)).total_seconds()


def clock_text(seconds: float) -> str:
    """`1:48`, or `1:02:05` from an hour."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _beginning(markdown: str) -> str:
    """The first paragraphs, at most about 1,200 characters."""
    head = markdown[:BEGINNING_CHARS]
    if len(markdown) <= BEGINNING_CHARS:
        return head
    cut = head.rfind("\n\n")
    return (head[:cut] if cut > BEGINNING_CHARS // 3 else head).rstrip() + " …"
