"""Why there is no answer, or an unusual one, in a sentence for whoever asked."""

from typing import Final

from bridge.agent.outcome import Outcome
from bridge.clock import stamp
from bridge.errors import BudgetUsedUp, JobRefused, ModelRefused, TurnLimitReached
from bridge.telegram.cost_words import money
from bridge.telegram.texts import reason, say
from bridge.telegram.times import local_text

NO_ANSWER: Final = (ModelRefused, TurnLimitReached, BudgetUsedUp, JobRefused)
NoAnswer = ModelRefused | TurnLimitReached | BudgetUsedUp | JobRefused


def apology(error: NoAnswer, language: str, zone: str) -> str:
    """The sentence; times are those of `zone` ("" = UTC)."""
    if isinstance(error, JobRefused):
        return reason(language, error)
    if isinstance(error, ModelRefused):
        return say(language, "provider_refuses", why=error)
    if isinstance(error, TurnLimitReached):
        return say(language, "limit_reached")
    if error.until is None:
        return say(language, "budget_reserved")
    return say(
        language,
        "budget_used_user" if error.whose == "user" else "budget_used_day",
        limit=money(error.limit_micro, language),
        at=local_text(stamp(error.until), zone or "UTC", language),
    )


def answered(outcome: Outcome, language: str) -> str:
    """The answer, and which model wrote it when it was not the usual one."""
    if outcome.kind != "answer" or not outcome.by:
        return outcome.text
    return f"{outcome.text}\n\n{say(language, 'answered_by', model=outcome.by)}"
