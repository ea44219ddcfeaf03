"""Why there is no answer, in a sentence for whoever asked."""

from typing import Final

from bridge.clock import stamp
from bridge.errors import BudgetUsedUp, ModelRefused, TurnLimitReached
from bridge.telegram.cost_words import money
from bridge.telegram.texts import say
from bridge.telegram.times import local_text

NO_ANSWER: Final = (ModelRefused, TurnLimitReached, BudgetUsedUp)


def apology(error: ModelRefused | TurnLimitReached | BudgetUsedUp, language: str, zone: str) -> str:
    """The sentence; times are those of `zone` ("" = UTC)."""
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
