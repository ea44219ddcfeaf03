"""Many people at once while the workers are busy: everyone gets an answer, once."""

import re
from collections import Counter
from pathlib import Path

import history
import pytest
from stack import running
from waiting import until

from bridge.emulator.script import Reply, Request

CHATS, MESSAGES, JOBS = 20, 200, 50


def answer(request: Request) -> Reply | None:
    """`reply-7` to `ask-7`; messages that came together get one answer to all of them."""
    roles = [message["role"] for message in request.messages]
    since = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
    asked = re.findall(r"ask-(\d+)", str(request.messages[since:]))
    if request.is_worker or not asked:
        return None
    return Reply(" ".join(f"reply-{number}" for number in asked))


@pytest.mark.timeout(150)
async def test_everyone_is_answered_once_while_fifty_jobs_run(tmp_path: Path) -> None:
    async with running(tmp_path, chats=CHATS, workers=2, concurrency=8) as kitt:
        kitt.claude.script.rules.insert(0, answer)
        for number in range(JOBS):
            kitt.telegram.send(number % CHATS + 1, f"/bg quick job n{number} sleep 4")
        await until(lambda: len(kitt.jobs("running")) == 16, 30)
        for number in range(MESSAGES):
            chat = number % CHATS + 1
            kitt.telegram.send(chat, f"ask-{number}")
            if number < MESSAGES // 2 and chat == CHATS:  # at first one by one, then all at once
                await kitt.said(1, f"reply-{number - chat + 1}")
        await kitt.telegram.wait_for(lambda e: e.updates.pending == 0, timeout_s=60)
        assert kitt.jobs("running")
        await kitt.settled(timeout_s=120)

        told: Counter[str] = Counter()
        for chat in range(1, CHATS + 1):
            for message in kitt.telegram.messages(chat):
                if message.from_bot:
                    told.update(re.findall(r"reply-\d+|result n\d+", message.text))
        replies = {f"reply-{number}" for number in range(MESSAGES)}
        results = {f"result n{number}" for number in range(JOBS)}
        assert told == Counter(replies | results)
        assert [job["attempt"] for job in kitt.jobs("done")] == [1] * JOBS
        history.check(kitt.database, kitt.telegram, kitt.claude.key)
