"""`/start`, `/help`, `/new`, `/status`, `/cost`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge import conversation
from bridge.budgets import Budgets
from bridge.clock import Clock
from bridge.models import JobStatus
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part
from bridge.telegram.cost_words import budget_report, cost_report
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.job_list import counts_of
from bridge.telegram.texts import say
from bridge.telegram.welcome import Welcome

JOB_LINK: Final = re.compile(r"job_([0-9]{1,18})", re.ASCII)  # `t.me/<bot>?start=job_42`


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCommands:
    """Carries out what concerns the conversation itself."""

    clock: Clock
    model_name: str
    budgets: Budgets
    welcome: Welcome
    job: Callable[[Tx, Incoming, int], list[Part]]  # shows one, for a link to it
    chosen: Chosen
    names = ("start", "help", "new", "status", "cost")
    read_only = ("help", "status", "cost")
    verbs = ()

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """Carry out one of `names`."""
        actions: dict[str, Callable[[Tx, Incoming, str], list[Part]]] = {
            "start": self._start,
            "help": lambda _tx, m, _a: [compose.plain_part(say(m.language, "help"))],
            "new": self._new,
            "status": self._status,
            "cost": self._cost,
        }
        return actions[name](tx, message, argument)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """There are no buttons here."""
        raise NotImplementedError(verb)

    def _start(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        linked = JOB_LINK.fullmatch(argument)
        if linked is not None:
            return self.job(tx, message, int(linked[1]))
        return [self.welcome.part(message.chat_id, message.name, message.language)]

    def _new(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        name = conversation.chat_conversation(message.chat_id, message.thread_id)
        tx.run("forget_conversation", conversation=name)
        return [compose.plain_part(say(message.language, "new_conversation"))]

    def _status(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        counts = counts_of(tx, message.chat_id)
        text = say(
            message.language,
            "status_report",
            **{str(status): counts.get(status, 0) for status in JobStatus},
            owed=tx.value("count_owed", chat_id=message.chat_id),
            model=self.model_name,
        )
        return [compose.plain_part(text)]

    def _cost(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        zone = self.chosen.zone(message)
        now, language = self.clock.now(), message.language
        budget = budget_report(tx, self.budgets, message.user_id, language, now)
        report = cost_report(tx, message.chat_id, language, now, zone)
        return [compose.plain_part(f"{report}\n\n{budget}".rstrip())]
