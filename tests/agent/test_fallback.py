"""A second model is asked once: when the first one refuses, or is away more than once."""

from collections.abc import AsyncIterator

import pytest
from fakes import START
from turns import Desk, opening

from bridge.agent.fallback import Fallback, model_of
from bridge.agent.model import AnthropicModel
from bridge.agent.openai_model import OpenAIModel
from bridge.agent.outcome import Outcome
from bridge.emulator.claude_faults import Fault
from bridge.errors import ModelUnavailable
from bridge.prices import Usage, cost_of
from bridge.settings import Secret, Settings

OPUS, SONNET = "claude-opus-5-5", "claude-sonnet-5-5"


@pytest.fixture
async def two(desk: Desk) -> AsyncIterator[Desk]:
    desk.model = Fallback(desk.model, SONNET)
    yield desk


def models(desk: Desk) -> list[str]:
    return [record.body["model"] for record in desk.claude.requests]


async def test_a_refused_request_is_asked_from_the_other_model(two: Desk) -> None:
    two.says("pelicans", "They are large.")
    two.claude.order(Fault(outcome="refusal", times=1))

    outcome = await two.turn(model_name=OPUS).run(opening("pelicans"))

    assert outcome == Outcome(kind="answer", text="They are large.", by=SONNET)
    assert models(two) == [OPUS, SONNET]
    first, second = (record.body["messages"] for record in two.claude.requests)
    assert first == second  # nothing of what was refused
    assert two.spoken() == [("user", "pelicans"), ("assistant", "They are large.")]


async def test_both_requests_are_paid_for_at_their_own_price(two: Desk) -> None:
    two.says("pelicans", "They are large.")
    two.claude.order(Fault(outcome="refusal", times=1))

    await two.turn(model_name=OPUS).run(opening("pelicans"))

    rows = two.rows("SELECT model, input_tokens, output_tokens, cost_micro, at FROM usage")
    assert [row["model"] for row in rows] == [OPUS, SONNET]
    (_, other) = rows
    used = Usage(input_tokens=other["input_tokens"], output_tokens=other["output_tokens"])
    assert other["cost_micro"] == cost_of(SONNET, used, START)


async def test_a_second_refusal_is_the_end(two: Desk) -> None:
    two.says("pelicans", "They are large.")
    two.claude.order(Fault(outcome="refusal", times=2))

    outcome = await two.turn(model_name=OPUS).run(opening("pelicans"))

    assert outcome.kind == "refused"
    assert models(two) == [OPUS, SONNET]


async def test_a_refusal_stays_one_when_the_other_model_cannot_be_asked(two: Desk) -> None:
    two.claude.order(Fault(outcome="refusal", match=OPUS, times=1))
    two.claude.order(Fault(status=529, match=SONNET, times=1))

    outcome = await two.turn(model_name=OPUS).run(opening("pelicans"))

    assert outcome.kind == "refused"
    assert [row["model"] for row in two.rows("SELECT model FROM usage")] == [OPUS]


async def test_a_model_that_is_away_is_waited_for_when_the_other_takes_no_request(
    two: Desk,
) -> None:
    two.claude.order(Fault(status=529, match=OPUS, times=2))
    two.claude.order(Fault(status=404, match=SONNET, times=1))

    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await two.turn(model_name=OPUS).run(opening("pelicans"))

    assert models(two) == [OPUS, OPUS, SONNET]


async def test_one_failure_is_not_an_outage(two: Desk) -> None:
    two.says("pelicans", "They are large.")
    two.claude.order(Fault(status=529, match=OPUS, times=2))

    with pytest.raises(ModelUnavailable):
        await two.turn(model_name=OPUS).run(opening("pelicans"))
    outcome = await two.turn(model_name=OPUS).run(opening("pelicans"))

    assert outcome.by == SONNET
    assert models(two) == [OPUS, OPUS, SONNET]


async def test_the_usual_model_is_asked_first_again(two: Desk) -> None:
    two.says("pelicans", "They are large.")
    two.claude.order(Fault(status=529, match=OPUS, times=2))
    with pytest.raises(ModelUnavailable):
        await two.turn(model_name=OPUS).run(opening("pelicans"))
    await two.turn(model_name=OPUS).run(opening("pelicans"))

    outcome = await two.turn(model_name=OPUS).run(opening("pelicans", source="update:2"))

    assert outcome.by == ""


async def test_the_other_model_has_no_other(two: Desk) -> None:
    two.claude.order(Fault(status=529, times=9))

    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await two.turn(model_name=SONNET).run(opening("pelicans"))

    assert models(two) == [SONNET] * 3


def test_the_settings_say_which_model_is_made() -> None:
    settings = Settings(anthropic_key=Secret("k"))

    assert isinstance(model_of(settings), AnthropicModel)
    assert isinstance(
        model_of(Settings(anthropic_key=Secret("k"), provider="openai", model="gpt-x")),
        OpenAIModel,
    )
    assert isinstance(
        model_of(Settings(anthropic_key=Secret("k"), fallback_model=SONNET)), Fallback
    )
