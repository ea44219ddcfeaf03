"""The default script: what the demo, the benches and the end-to-end tests talk to.

It is bilingual (Dutch when the user's text looks Dutch, else English), deterministic, and honest:
asked who it is, it says that it is a scripted model, and its reports say that nothing was looked
up. The main agent's side is `story_main`, the worker's `story_worker`.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.emulator.script import Reply, Request, Script
from bridge.emulator.story_files import look
from bridge.emulator.story_main import converse, wants_job
from bridge.emulator.story_worker import work


def story(*, first_token_s: float = 0.0, pace_s: float = 0.0, worker_call_s: float = 0.0) -> Script:
    """A fresh copy of the default script; `when` puts a test's own rules before it.

    `first_token_s` and `pace_s` (seconds) slow the main agent down to a model's tempo,
    `worker_call_s` each call of a worker, on top of the time its instructions ask for.
    """

    def toil(request: Request) -> Reply | None:
        reply = work(request)
        if reply is None:
            return None
        return replace(reply, first_token_s=reply.first_token_s + worker_call_s)

    def talk(request: Request) -> Reply | None:
        reply = _wanted(request) or converse(request)
        if reply is None:
            return None
        return replace(reply, first_token_s=reply.first_token_s + first_token_s, pace_s=pace_s)

    return Script([toil, talk])


def _wanted(request: Request) -> Reply | None:
    """About files, unless work with them is to be handed over."""
    return None if wants_job(request) else look(request)
