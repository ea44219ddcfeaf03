"""The worker's part of the default story: a job from its first step to its report.

One rule, `work`. Where a job stands is read from the tool results in the messages alone, so a job
that was interrupted goes on where it stopped, and jobs side by side do not disturb each other.

Instructions may steer it: "sleep 8" spreads about 8 s of model time over the calls, "steps 30"
sets the number of progress steps, "quick job N" answers "result N" in one call, "fail please"
refuses, `[[reply: TEXT]]` answers TEXT at once and `[[delay: S]]` waits before the first token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridge.emulator.script import Block, Reply, Request, Text, Thinking, ToolUse, searched
from bridge.emulator.story_texts import ANYTHING, E_BIKES, STEPS, say
from bridge.emulator.story_words import (
    E_BIKE,
    FAIL,
    MARKER,
    QUICK,
    SLEEP,
    is_dutch,
    marked_delay_s,
    marked_reply,
    sleep_s,
    steps,
    title_of,
)
from bridge.emulator.story_words import STEPS as STEPS_ASKED

STEPS_DEFAULT = 4
REPORT = "report.md"
ASK = re.compile(r"\bask me\b|\bvraag (?:me|mij)\b", re.IGNORECASE)
WRAP_UP = re.compile(r"\bwrap up\b|\brond(?: het)? af\b", re.IGNORECASE)
# What KITT itself tells a worker; everything else that is said later comes from the user.
NOTE = re.compile(r"\bwrap up\b|\brond het af\b|\bcut off at the|^give the answer", re.IGNORECASE)
LANGUAGE = re.compile(r"\s*\bAnswer in (Dutch|English), as Markdown\.")
PAGES = (
    ("https://www.example.com/tests/e-bikes", "E-bikes tested"),
    ("https://www.example.org/reviews", "What owners say"),
)


def work(request: Request) -> Reply | None:
    """A worker's next move; None for the main agent."""
    if not request.is_worker:
        return None
    order = request.first_user_text
    first = not request.all_tool_results
    delay_s = marked_delay_s(order) if first else 0.0
    marked, quick = marked_reply(order), QUICK.search(order)
    if marked is not None:
        return Reply(marked, first_token_s=delay_s)
    if quick:
        return Reply(f"result {quick.group(1)}", first_token_s=delay_s + sleep_s(order))
    dutch = _in_dutch(order)
    if FAIL.search(order):
        return Reply(say("refused", dutch), stop_reason="refusal", first_token_s=delay_s)
    plan = _plan(request, order, dutch)
    wait_s = sleep_s(order) / (len(plan) + 1)
    done = len(request.all_tool_results)
    hurry = any(WRAP_UP.search(text) for text in request.later_user_texts)
    if done < len(plan) and not hurry and request.can_call("report_progress"):
        return Reply(_call(request, plan, done), first_token_s=delay_s + wait_s)
    text = _answer(request, order, dutch)
    return Reply([Thinking("Everything is there."), Text(text)], first_token_s=delay_s + wait_s)


def _in_dutch(order: str) -> bool:
    asked = LANGUAGE.search(order)
    return asked.group(1) == "Dutch" if asked else is_dutch(order)


def _plan(request: Request, order: str, dutch: bool) -> list[ToolUse]:
    """Every tool call of the job in order; how many results there are says where it stands."""
    count = steps(order, STEPS_DEFAULT)
    plan = [
        ToolUse(
            "report_progress", {"step": _step(at, count, dutch), "percent": _percent(at, count)}
        )
        for at in range(count)
    ]
    if ASK.search(order):
        plan.insert(1, ToolUse("ask_user", {"question": say("question", dutch)}))
    content = _report(order, dutch)
    plan += [
        ToolUse("write_file", {"path": REPORT, "content": content}),
        ToolUse("attach_file", {"path": REPORT, "caption": say("caption", dutch)}),
    ]
    return [call for call in plan if call.name in request.tools]


def _step(at: int, count: int, dutch: bool) -> str:
    if count <= len(STEPS):
        return STEPS[at * len(STEPS) // count][dutch]
    return f"{STEPS[at * len(STEPS) // count][dutch]} ({at + 1}/{count})"


def _percent(at: int, count: int) -> int:
    return round(100 * (at + 1) / (count + 1))


def _call(request: Request, plan: Sequence[ToolUse], done: int) -> list[Block]:
    blocks: list[Block] = [Thinking(f"Call {done + 1} of {len(plan)}.")]
    if done == 1 and _is_server_tool(request, "web_search"):
        blocks += searched(_topic(request.first_user_text), PAGES)
    return [*blocks, plan[done]]


def _is_server_tool(request: Request, name: str) -> bool:
    return str(request.tools.get(name, {}).get("type", "")).startswith(f"{name}_2")


def _topic(order: str) -> str:
    """The task without the words that steer the script."""
    plain = LANGUAGE.sub("", order)
    for words in (MARKER, SLEEP, STEPS_ASKED, ASK):
        plain = words.sub(" ", plain)
    return title_of(plain.strip().partition("\n")[0], say("job", is_dutch(order)))


def _report(order: str, dutch: bool) -> str:
    text = E_BIKES[dutch] if E_BIKE.search(order) else ANYTHING[dutch]
    return text.format(title=_topic(order)) + "\n" + say("sample", dutch)


def _answer(request: Request, order: str, dutch: bool) -> str:
    more = [text for text in request.later_user_texts if not NOTE.search(text)]
    notes = [say("also", dutch, text=text) for text in more]
    return "\n\n".join([_report(order, dutch), *notes])
