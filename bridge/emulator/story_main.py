"""The main agent's part of the default story: small talk, and everything about jobs.

One rule, `converse`. Long work is handed over with `start_background_job`, what recurs is proposed
with `propose_schedule`; questions about jobs are answered from `list_jobs` and `get_job`; what a
finished job brought is read from the `<kitt-event>` in the messages. Where a tool is not offered, a
plain text answers instead.
"""

from __future__ import annotations

import re

from bridge.emulator.script import Reply, Request, ToolResult, ToolUse
from bridge.emulator.story_schedules import SCHEDULES, proposal
from bridge.emulator.story_texts import STATUSES, say
from bridge.emulator.story_words import (
    BACKGROUND,
    E_BIKE,
    FAIL,
    LONG_WORK,
    QUICK,
    SLEEP,
    is_dutch,
    items,
    marked_delay_s,
    marked_reply,
    ordinal,
    title_of,
    total,
)

STATUS = re.compile(
    r"\bwhat(?:'s| is) (?:running|the status)|\bhow far\b|\bstatus\b|\bprogress\b"
    r"|\b(?:which|my) jobs|\blist (?:the )?jobs|\bwhat are you (?:doing|working on)"
    r"|\bhoe ver\b|\bvoortgang\b|\bwelke taken|\bmijn taken|\bwat (?:loopt|draait)\b"
    r"|\bhoe staat het\b|\bwaar ben je mee bezig|\bis het (?:al )?klaar\b"
    r"|\b(?:is|are) (?:it|they|the job) (?:done|ready)\b",
    re.IGNORECASE,
)
CANCEL = re.compile(r"\b(?:cancel|abort|stop|annuleer|breek)\b", re.IGNORECASE)
RETRY = re.compile(r"\b(?:retry|rerun|again|opnieuw|herhaal)\b", re.IGNORECASE)
SHOW = re.compile(r"\b(?:show|result|details|toon|resultaat|laat)\b", re.IGNORECASE)
JOB_NUMBER = re.compile(
    r"(?:\b(?:job|taak|nummer|number)\s*#?|#)\s*(\d+)|\b(\d+)\s*$", re.IGNORECASE
)
THAT_JOB = re.compile(r"\b(?:job|taak|it|that|this|het|dat|die|deze)\b", re.IGNORECASE)
# "#12 running 40% “E-bikes” – Reading", as KITT's tools and its <kitt-state> write a job.
JOB_LINE = re.compile(r"^#(\d+) (\w+)(?: (\d+)%)? “(.*?)”(?: – (.*))?$", re.MULTILINE)
LIVE_JOB = re.compile(r"#(\d+)\s+(?:running|pending|waiting)", re.IGNORECASE)
KINDS = (
    ("code", re.compile(r"\b(?:code|script|python|programma?|bug)\b", re.IGNORECASE)),
    ("browser", re.compile(r"\b(?:browser|website|screenshot|schermafdruk)\b", re.IGNORECASE)),
    ("files", re.compile(r"\b(?:files?|pdf|documents?|bestand(?:en)?)\b", re.IGNORECASE)),
    ("research", LONG_WORK),
)
URGENT = re.compile(r"\b(?:urgent|asap|dringend|spoed)\b", re.IGNORECASE)
TALK = (
    (
        "who",
        r"\b(?:who|what) are you\b|\b(?:wie|wat) ben (?:je|jij)\b|\bare you (?:real|human|an? )"
        r"|\bben (?:je|jij) (?:echt|een )",
    ),
    ("help", r"\bwhat can you do\b|\bhelp\b|\bwat kun (?:je|jij)\b"),
    ("joke", r"\bjoke\b|\bmop\b|\bgrapj?e?\b"),
    ("how_are_you", r"\bhow are you\b|\bhoe gaat het\b"),
    ("thanks", r"\bthanks?\b|\bthank you\b|\bbedankt\b|\bdank\s?(?:je|u|jewel)?\b"),
    (
        "hello",
        r"^\W*(?:hello|hi|hey|hallo|hoi|dag|good (?:morning|afternoon|evening)"
        r"|goede(?:morgen|middag|navond))\b",
    ),
)
HAND_OVER = ("start_background_job", "propose_schedule")
RESULT_CHARS_MAX = 1500
SHORT_WORDS = 8


def converse(request: Request) -> Reply | None:
    """The main agent's answer; None for a worker."""
    if request.is_worker:
        return None
    text = request.last_user_text
    dutch = is_dutch(text)
    started = any(result.name in HAND_OVER for result in request.tool_results)
    recurring = proposal(text, dutch)
    if recurring is not None and not started and request.can_call("propose_schedule"):
        return Reply([recurring])
    if _wants_job(request, text) and not started and request.can_call("start_background_job"):
        return Reply([_start(text, dutch)])
    told = [_told(result, text, dutch) for result in request.tool_results]
    if request.turn and told:
        return Reply("\n\n".join(told))
    reply = _job_question(request, text, dutch) or Reply(
        _small_talk(request, text, dutch), first_token_s=marked_delay_s(text)
    )
    if told and isinstance(reply.blocks, str):
        return Reply("\n\n".join([*told, reply.blocks]))
    return reply


def wants_job(request: Request) -> bool:
    """Whether the user's newest words ask for a background job."""
    return _wants_job(request, request.last_user_text)


def _wants_job(request: Request, text: str) -> bool:
    """Whether this is work for a worker, and not a question about one."""
    if request.directives or BACKGROUND.search(text):
        return True
    orders = any(words.search(text) for words in (CANCEL, RETRY, SHOW))
    about_job = STATUS.search(text) or (orders and JOB_NUMBER.search(text))
    if about_job or (ordinal(text) is not None and len(text.split()) < SHORT_WORDS):
        return False
    return any(words.search(text) for words in (LONG_WORK, QUICK, SLEEP, FAIL))


def _start(text: str, dutch: bool) -> ToolUse:
    title = title_of(text, say("job", dutch))
    if E_BIKE.search(text):
        title = "E-bike vergelijken" if dutch else "Compare e-bikes"
    language = "Dutch" if dutch else "English"
    return ToolUse(
        "start_background_job",
        {
            "acknowledgement": say("acknowledged", dutch, title=title),
            "title": title,
            "instructions": f"{text}\n\nAnswer in {language}, as Markdown.",
            "kind": next((kind for kind, words in KINDS if words.search(text)), "other"),
            "priority": "urgent" if URGENT.search(text) else "normal",
        },
    )


def _job_question(request: Request, text: str, dutch: bool) -> Reply | None:
    """A question or an order about jobs that exist."""
    number = JOB_NUMBER.search(text)
    job_id = int(number.group(1) or number.group(2)) if number else None
    for words, tool in ((CANCEL, "cancel_job"), (RETRY, "retry_job"), (SHOW, "get_job")):
        if words.search(text) and request.can_call(tool):
            chosen = job_id if job_id is not None else _only_job(request, tool)
            if chosen is not None:
                return Reply([ToolUse(tool, {"job_id": chosen})])
            if tool != "get_job" and THAT_JOB.search(text):
                return Reply(say("which", dutch))
    if SCHEDULES.search(text) and request.can_call("list_schedules"):
        return Reply([ToolUse("list_schedules", {})])
    if STATUS.search(text) and request.can_call("list_jobs"):
        return Reply([ToolUse("list_jobs", {"status": "active"})])
    place = ordinal(text)
    return Reply(_nth(request, place, dutch)) if place is not None else None


def _only_job(request: Request, tool: str) -> int | None:
    """The job meant by "cancel it": the only live one the state shows."""
    live = LIVE_JOB.findall(request.state) if tool == "cancel_job" else []
    return int(live[0]) if len(live) == 1 else None


def _nth(request: Request, place: int, dutch: bool) -> str:
    """The n-th item of the newest job result that has a list."""
    for event in reversed(request.events):
        if event.attributes.get("status", "done") != "done":
            continue
        found = items(event.text)
        if place < len(found):
            return say("item", dutch, number=place + 1, item=found[place])
    return say("no_item", dutch)


def _small_talk(request: Request, text: str, dutch: bool) -> str:
    marked = marked_reply(text)
    if marked is not None:
        return marked
    try:
        value = total(text)
    except ZeroDivisionError:
        return say("no_sum", dutch)
    if value is not None:
        return say("sum", dutch, value=value.replace(".", ",") if dutch else value)
    for name, pattern in TALK:
        if re.search(pattern, text, re.IGNORECASE):
            second = name == "joke" and len(request.messages) % 4 == 3
            return say("joke_2" if second else name, dutch)
    return say("unknown", dutch)


def _told(result: ToolResult, text: str, dutch: bool) -> str:
    """What a tool's result means to the user."""
    if result.is_error:
        return say("tool_failed", dutch, text=result.text)
    job = result.input.get("job_id")
    if result.name == "list_schedules":
        return say("schedules", dutch, text=result.text)
    if result.name == "list_jobs":
        return _listed(result.text, dutch)
    if result.name == "get_job":
        head, _, body = result.text.partition("\nResult:\n")
        return say("details", dutch, job=job, text=(body or head)[:RESULT_CHARS_MAX])
    names = {"cancel_job": "cancelled", "retry_job": "retried"}
    return say(names.get(result.name, "started"), dutch, job=job)


def _listed(text: str, dutch: bool) -> str:
    """The answer to "what is running", from the lines of the tool's result."""
    jobs = JOB_LINE.findall(text)
    if not jobs:
        nothing = not text.strip() or text.strip().lower().startswith("no jobs")
        return say("nothing", dutch) if nothing else say("jobs", dutch, jobs=text.strip())
    return say("jobs", dutch, jobs="\n".join(_job_line(*job, dutch=dutch) for job in jobs))


def _job_line(job_id: str, status: str, percent: str, title: str, step: str, *, dutch: bool) -> str:
    words = [STATUSES.get(status, (status, status))[dutch]]
    words += [f"{percent} %"] if percent else []
    words += [step] if step else []
    return f"- #{job_id} {title}: {', '.join(words)}"
