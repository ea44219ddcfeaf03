"""What a request costs: by model, by day, by length of the prompt, and rounded up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bridge.prices import PRICES, Price, Usage, cost_of, price_of
from bridge.settings import VARIABLES

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
CHEAPER = datetime(2026, 10, 7, tzinfo=UTC)  # reading Sonnet's cache, from this moment on
M = 1_000_000


def dollars(model: str, used: Usage, at: datetime = NOW) -> float | None:
    cost_micro = cost_of(model, used, at)
    return None if cost_micro is None else cost_micro / 1e6


@pytest.mark.parametrize(
    ("used", "cost"),
    [
        (Usage(input_tokens=M), 2.0),
        (Usage(output_tokens=M), 10.0),
        (Usage(cache_read=M), 0.1),
        (Usage(cache_write=M), 2.5),
        (Usage(cache_write=M, cache_write_1h=M), 4.0),
        (Usage(cache_write=M, cache_write_1h=M // 2), 3.25),
        (Usage(web_searches=3), 0.03),
        (Usage(input_tokens=M, output_tokens=M, cache_read=M, web_searches=1), 12.11),
    ],
)
def test_each_kind_of_token_has_its_price(used: Usage, cost: float) -> None:
    assert dollars("claude-sonnet-5-5", used) == cost


def test_price_of_a_model_changes_on_its_day() -> None:
    before = CHEAPER - timedelta(milliseconds=1)

    assert dollars("claude-sonnet-5-5", Usage(cache_read=M), before) == 0.2
    assert dollars("claude-sonnet-5-5", Usage(cache_read=M), CHEAPER) == 0.1


def test_day_of_a_price_begins_at_midnight_utc() -> None:
    in_tokyo = CHEAPER.astimezone(timezone(timedelta(hours=9)))

    assert dollars("claude-sonnet-5-5", Usage(cache_read=M), in_tokyo) == 0.1
    before = in_tokyo - timedelta(seconds=1)
    assert dollars("claude-sonnet-5-5", Usage(cache_read=M), before) == 0.2


def test_long_prompt_makes_every_token_of_its_request_dearer() -> None:
    short, long = (Usage(input_tokens=n, output_tokens=1_000) for n in (100_000, 100_001))

    assert dollars("claude-haiku-5-5", short) == 0.0105
    assert dollars("claude-haiku-5-5", long) == 0.052501


@pytest.mark.parametrize(
    ("used", "cost"),
    [
        (Usage(input_tokens=1, cache_read=100_000), 0.005001),
        (Usage(input_tokens=1, cache_write=100_000), 0.062501),
    ],
)
def test_what_the_cache_holds_is_a_part_of_the_prompt(used: Usage, cost: float) -> None:
    assert dollars("claude-haiku-5-5", used) == cost


def test_answer_is_no_part_of_the_prompt() -> None:
    assert dollars("claude-haiku-5-5", Usage(input_tokens=100_000, output_tokens=M)) == 0.51


@pytest.mark.parametrize(
    ("tokens", "cost_micro"), [(0, 0), (1, 1), (10, 1), (11, 2), (100, 10), (101, 11)]
)
def test_part_of_a_millionth_of_a_dollar_counts_as_a_whole_one(
    tokens: int, cost_micro: int
) -> None:
    assert cost_of("claude-haiku-5-5", Usage(input_tokens=tokens), NOW) == cost_micro


def test_sum_is_rounded_once() -> None:
    used = Usage(input_tokens=1, output_tokens=1, cache_read=1, cache_write=1)

    assert cost_of("claude-haiku-5-5", used, NOW) == 1


@pytest.mark.parametrize("model", ["deepseek-chat", "claude-fable-5-2", "", "claude-haiku"])
def test_model_that_is_not_in_the_table_has_no_price(model: str) -> None:
    assert cost_of(model, Usage(input_tokens=M), NOW) is None


@pytest.mark.parametrize("model", [VARIABLES["KITT_MODEL"][0], VARIABLES["KITT_WORKER_MODEL"][0]])
def test_models_of_the_default_settings_have_a_price(model: str) -> None:
    assert cost_of(model, Usage(input_tokens=M), NOW)


@pytest.mark.parametrize("model", PRICES)
def test_table_has_one_price_for_each_day_and_length(model: str) -> None:
    prices = PRICES[model]

    assert len({(price.since, price.above) for price in prices}) == len(prices)
    for price in prices:
        assert price_of(model, price.above + 1, datetime.max.replace(tzinfo=UTC)) is not None
        assert price.cache_read < price.input < price.cache_write < price.cache_write_1h


def test_tier_of_an_older_day_does_not_outlive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Price(input=5, output=0, cache_read=0, cache_write=0, cache_write_1h=0)
    tier, later = replace(first, above=10), replace(first, since=CHEAPER.date())
    monkeypatch.setitem(PRICES, "m", (first, tier, later))

    assert price_of("m", 11, CHEAPER - timedelta(days=1)) == tier
    assert price_of("m", 11, CHEAPER) == later
