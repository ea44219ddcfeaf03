"""Money and models in the chat: a sentence in place of an answer, a bar, and who answered."""

from chatting import House, Person
from fakes import shell

from bridge.clock import stamp
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.models import Job, JobStatus
from bridge.telegram.compose import result_parts
from bridge.telegram.job_card import card
from bridge.telegram.job_view import JobView


def has_used(house: House, cents: int, user_id: str = "7") -> None:
    shell(
        house.settings.database,
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
        " cache_write, latency_ms, counted_micro, cost_micro, user_id, chat_id)"
        " VALUES (:at, 'chat:7:0', 'x', 1, 1, 0, 0, 1, :micro, :micro, :user_id, '7')",
        at=stamp(house.clock.now()),
        micro=cents * 10_000,
        user_id=user_id,
    )


async def test_without_money_an_answer_is_a_sentence_that_says_when(
    bridge: House, chat: Person
) -> None:
    has_used(bridge, 500)

    answer = await chat.ask("Hello")

    assert answer.text.startswith("Your budget for today ($ 5.00) is used up: I answer again from ")
    assert "00:00." in answer.text
    assert "KITT_BUDGET_USER_DAY" in answer.text
    assert bridge.asked() == []


async def test_the_day_of_everyone_ends_for_everyone(bridge: House, chat: Person) -> None:
    has_used(bridge, 1_000, user_id="8")
    chat.language = "nl"

    answer = await chat.ask("Hallo")

    assert answer.text.startswith("Het budget voor vandaag ($ 10,00) is op: vanaf ")
    assert "KITT_BUDGET_DAY" in answer.text


async def test_cost_shows_how_much_of_the_day_is_used(bridge: House, chat: Person) -> None:
    has_used(bridge, 200)
    has_used(bridge, 100, user_id="8")

    answer = await chat.ask("/cost")

    assert answer.text.split("\n")[-2:] == [
        "▰▰▰▰▱▱▱▱▱▱ 40 %  $ 5.00  your budget for today",
        "▰▰▰▱▱▱▱▱▱▱ 30 %  $ 10.00  everyone's budget for today",
    ]


async def test_a_card_says_what_its_job_waits_for(bridge: House) -> None:
    def shown(held_by: str, language: str) -> str:
        job = Job(
            id=1,
            chat_id="7",
            prompt="Count",
            status=JobStatus.SCHEDULED,
            run_at="2026-11-22 08:00:00.000",
            held_by=held_by,
        )
        view = JobView(job=job, now=bridge.clock.now())
        return card(view, language=language).text.split("\n")[-1]

    assert shown("model", "en").startswith("🕓 Waits for the model provider until ")
    assert shown("model", "nl").startswith("🕓 Wacht op de modelaanbieder tot ")
    assert shown("budget", "en").startswith("🕓 The budget of the day is used up: goes on ")
    assert shown("anything else", "en").startswith("🕓 Goes on: ")


async def test_an_answer_of_another_model_says_so(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await bridge.stop()
    bridge.set(fallback_model="claude-sonnet-5-5")
    await bridge.start()
    claude.order(Fault(outcome="refusal", times=1))

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == (
        "That is 391.\n\nℹ️ This is by claude-sonnet-5-5: the usual model refused, or is away."
    )


def test_a_result_of_another_model_says_so() -> None:
    job = Job(
        id=1,
        chat_id="7",
        prompt="Count",
        status=JobStatus.DONE,
        result="There are 42.",
        held_by="fallback",
    )

    (part,) = result_parts(job, [], language="nl")

    assert part["text"].startswith("ℹ️ Het gewone model weigerde of was er niet")
    assert part["text"].endswith("\n\nThere are 42.")
