"""`python -m bench.decisions`: what a real model makes of each message of docs/decisions.md.

The bridge is the real one and runs as a process; Telegram is emulated and no worker runs, so a job
stays a row. What a message became is read from the database. Exit code 1 when one came out
otherwise than the table says, 78 when there is no key.
"""

import argparse
import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.stack import Stack, kitt
from bridge.errors import ConfigError
from bridge.settings import Settings

PAGE: Final = Path(__file__).parent.parent / "docs" / "decisions.md"
LINE: Final = re.compile(r"\| (?P<said>.+) \| (?P<becomes>answer|job|schedule) \|")
AT_ONCE: Final = 4  # more would find the rate limit of a new key
ANSWERED_S: Final = 90.0
PROPOSED: Final = (
    "SELECT coalesce(cron, every_s) || ' ' || zone || ': ' || prompt FROM proposals"
    " WHERE chat_id = ?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A message and what it should become."""

    said: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a message became; `detail` is the job, the schedule or the answer."""

    said: str
    expected: str
    became: str
    detail: str

    @property
    def agrees(self) -> bool:
        return self.became == self.expected


def lines(page: Path = PAGE) -> list[Line]:
    """The table, from top to bottom."""
    found = (LINE.fullmatch(line) for line in page.read_text(encoding="utf-8").splitlines())
    return [Line(match["said"], match["becomes"]) for match in found if match]


async def decide(asked: Sequence[Line], environ: Mapping[str, str]) -> list[Decision]:
    """Send each line to a chat of its own; what became of them, in the same order."""
    decisions: list[Decision] = []
    async with kitt(chats=len(asked), workers=0, environ=environ) as stack:
        for start in range(0, len(asked), AT_ONCE):
            some = list(enumerate(asked[start : start + AT_ONCE], start + 1))
            for chat, line in some:
                stack.telegram.send(chat, line.said)
            for chat, line in some:
                await _handled(stack, chat)
                decisions.append(Decision(line.said, line.becomes, *_became(stack, chat)))
    return decisions


async def _handled(stack: Stack, chat: int) -> None:
    """Wait until the message is answered for good and what is owed for it was sent."""
    async with asyncio.timeout(ANSWERED_S):
        while not _one(  # noqa: ASYNC110 - another process
            stack,
            "SELECT count(*) FROM deliveries WHERE chat_id = ? AND status = 'sent'",
            chat,
        ):
            await asyncio.sleep(0.05)


def _became(stack: Stack, chat: int) -> tuple[str, str]:
    job = _one(stack, "SELECT kind || ': ' || prompt FROM jobs WHERE chat_id = ?", chat)
    if job is not None:
        return "job", str(job)
    proposed = _one(stack, PROPOSED, chat)
    if proposed is not None:
        return "schedule", str(proposed)
    texts = [message.text for message in stack.telegram.messages(chat) if message.from_bot]
    return "answer", " ".join(texts)


def _one(stack: Stack, query: str, chat: int) -> object:
    with sqlite3.connect(stack.profile / "memory" / "kitt.db") as connection:
        row = connection.execute(query, (str(chat),)).fetchone()
    return None if row is None else row[0]


def said_of(decisions: Sequence[Decision]) -> Iterator[str]:
    """The result for a person: what came out otherwise, then how many agree of each."""
    for decision in decisions:
        if not decision.agrees:
            what = " ".join(decision.detail.split())[:100]
            yield f"{decision.expected} expected, {decision.became}: {decision.said}\n    {what}"
    for kind in ("answer", "job", "schedule"):
        of_kind = [decision for decision in decisions if decision.expected == kind]
        agree = sum(decision.agrees for decision in of_kind)
        yield f"{kind:<8} {agree} of {len(of_kind)}"


def main() -> int:
    """Ask the model of the settings about every line."""
    parser = argparse.ArgumentParser(prog="python -m bench.decisions", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line")
    arguments = parser.parse_args()
    try:
        settings = Settings.load()
        environ = {
            "ANTHROPIC_API_KEY": settings.need_key(),
            "ANTHROPIC_BASE_URL": settings.anthropic_base_url,
            "KITT_MODEL": settings.model,
            "KITT_ZONE": settings.zone or "Europe/Amsterdam",  # else it must ask for one
        }
    except ConfigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    decisions = asyncio.run(decide(lines(), environ))
    if arguments.json:
        for decision in decisions:
            print(json.dumps({**asdict(decision), "agrees": decision.agrees}, ensure_ascii=False))
    else:
        print("\n".join(said_of(decisions)))
    return 0 if all(decision.agrees for decision in decisions) else 1


if __name__ == "__main__":
    sys.exit(main())
