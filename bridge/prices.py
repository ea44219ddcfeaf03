"""What a request to a model costs: prices by model, by day and by the length of the prompt.

Prices are whole millionths of a dollar for a million tokens, so that a sum has no rounding in it
but the last one. A model that is not in the table costs None, which means unknown: a wrong figure
is worse than none.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final

MILLION: Final = 1_000_000
SINCE_EVER: Final = date.min
BYTES_A_TOKEN: Final = 3  # English has four, JSON and Dutch about three
WEB_SEARCH: Final = 10_000  # millionths of a dollar for one search that the provider makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one request has used: tokens, searches of the provider, milliseconds."""

    input_tokens: int = 0  # that are in no cache
    output_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0  # all of them …
    cache_write_1h: int = 0  # … and those of them that are kept for an hour, which costs more
    web_searches: int = 0
    latency_ms: int = 0
    estimated: bool = False  # not all of it was told by the provider

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read."""
        return self.input_tokens + self.cache_read + self.cache_write


@dataclass(slots=True)
class Meter:
    """What one request has used while it is made, for when it does not end.

    `usage` is what the provider has told so far, before that the guess of whoever asks.
    """

    usage: Usage
    begun: bool = False  # the provider has taken it: from now on it costs
    written: int = 0  # bytes of the reply that came

    def hear(self, part: str) -> None:
        """More of the reply, of whatever kind."""
        self.written += len(part.encode())

    @property
    def cut(self) -> Usage:
        """What it has used if it ends here: the provider's last word on a reply comes at its end.

        Rather too much than too little: nobody shall have replies for nothing by cutting them.
        """
        seen = -(-self.written // BYTES_A_TOKEN)
        output_tokens = max(self.usage.output_tokens, seen)
        return replace(self.usage, output_tokens=output_tokens, estimated=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Millionths of a dollar for a million tokens, from a day on and above a length of prompt."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    since: date = SINCE_EVER  # in UTC
    above: int = 0  # for requests whose prompt has more tokens: then for every token of it


PRICES: Final[dict[str, tuple[Price, ...]]] = {
    "claude-haiku-5-5": (
        Price(
            input=100_000,
            output=500_000,
            cache_read=10_000,
            cache_write=125_000,
            cache_write_1h=200_000,
        ),
        Price(
            input=500_000,
            output=2_500_000,
            cache_read=50_000,
            cache_write=625_000,
            cache_write_1h=1_000_000,
            above=100_000,
        ),
    ),
    "claude-sonnet-5-5": (
        Price(
            input=2_000_000,
            output=10_000_000,
            cache_read=200_000,
            cache_write=2_500_000,
            cache_write_1h=4_000_000,
        ),
        Price(
            input=2_000_000,
            output=10_000_000,
            cache_read=100_000,
            cache_write=2_500_000,
            cache_write_1h=4_000_000,
            since=date(2026, 10, 7),
        ),
    ),
    "claude-opus-5-5": (
        Price(
            input=4_000_000,
            output=20_000_000,
            cache_read=200_000,
            cache_write=5_000_000,
            cache_write_1h=8_000_000,
        ),
    ),
    "claude-fable-5-1": (
        Price(
            input=10_000_000,
            output=50_000_000,
            cache_read=250_000,
            cache_write=12_500_000,
            cache_write_1h=20_000_000,
        ),
    ),
}


def cost_of(model: str, usage: Usage, at: datetime) -> int | None:
    """Millionths of a dollar, rounded up; None when the price of the model is unknown."""
    price = price_of(model, usage.prompt_tokens, at)
    return None if price is None else cost_at(price, usage)


def cost_at(price: Price, usage: Usage) -> int:
    """Millionths of a dollar at this price, rounded up."""
    tokens = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read * price.cache_read
        + (usage.cache_write - usage.cache_write_1h) * price.cache_write
        + usage.cache_write_1h * price.cache_write_1h
    )
    return -(-tokens // MILLION) + usage.web_searches * WEB_SEARCH


def price_of(model: str, prompt_tokens: int, at: datetime) -> Price | None:
    """The price of the newest day that has come, then of the longest prompt that was passed."""
    day = at.astimezone(UTC).date()
    fitting = [
        price
        for price in PRICES.get(model, ())
        if price.since <= day and (prompt_tokens > price.above or price.above == 0)
    ]
    return max(fitting, key=lambda price: (price.since, price.above), default=None)
