"""Faults on order and flood control of the emulated Telegram, seen by a real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from telegram import Bot, InputMediaDocument
from telegram.error import Conflict, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.request import HTTPXRequest

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault, FloodControl, FloodLimits
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import ApiError

CHAT, OTHER = 1, 2


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    emulator = TelegramEmulator()
    await emulator.start()
    emulator.open_chat(CHAT)
    emulator.open_chat(OTHER)
    yield emulator
    await emulator.stop()


@pytest.fixture
async def bot(emulator: TelegramEmulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    async with client(emulator) as bot:
        yield bot


def client(emulator: TelegramEmulator) -> Bot:
    # Plain HTTP needs no certificates, and loading them takes most of the time of a test.
    without = {"verify": False}
    return Bot(
        emulator.token,
        base_url=emulator.base_url,
        request=HTTPXRequest(httpx_kwargs=without),
        get_updates_request=HTTPXRequest(httpx_kwargs=without),
    )


def texts(emulator: TelegramEmulator) -> list[str]:
    return [message.text for message in emulator.messages(CHAT)]


# Faults


async def test_an_ordered_answer_comes_instead_of_the_effect(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.order(Fault(method="sendMessage", status=429, retry_after=7))

    with pytest.raises(RetryAfter) as caught:
        await bot.send_message(CHAT, "lost")
    await bot.send_message(CHAT, "kept")

    assert caught.value.retry_after == timedelta(seconds=7)
    assert texts(emulator) == ["kept"]


async def test_a_fault_meets_only_its_method_its_chat_and_its_number_of_calls(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    ordered = emulator.order(Fault(method="sendMessage", chat_id=CHAT, times=2, status=502))

    await bot.send_message(OTHER, "another chat")
    await bot.send_chat_action(CHAT, "typing")
    for _ in range(2):
        with pytest.raises(NetworkError, match="Bad Gateway"):
            await bot.send_message(CHAT, "x")
    await bot.send_message(CHAT, "third")

    assert (ordered.hits, ordered.spent) == (2, True)
    assert texts(emulator) == ["third"]


async def test_a_description_of_ones_own_is_answered(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.order(Fault(method="getUpdates", status=409, description="Conflict: two of us"))

    with pytest.raises(Conflict, match="two of us"):
        await bot.get_updates()


async def test_a_refused_connection_leaves_nothing_done(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.order(Fault(method="sendMessage", drop="refused"))

    with pytest.raises(NetworkError) as caught:
        await bot.send_message(CHAT, "lost")

    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError | httpx.ReadError)
    assert texts(emulator) == []
    assert [(c.status, c.done) for c in emulator.calls("sendMessage")] == [(0, False)]


async def test_an_unanswered_send_is_visible_all_the_same(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.order(Fault(method="sendMessage", drop="unanswered"))

    with pytest.raises(NetworkError) as caught:
        await bot.send_message(CHAT, "ambiguous")

    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError | httpx.ReadError)
    assert texts(emulator) == ["ambiguous"]
    assert [(c.status, c.done) for c in emulator.calls("sendMessage")] == [(0, True)]


async def test_a_cut_answer_breaks_off_after_so_many_bytes(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.order(Fault(method="sendMessage", cut_after=10))

    with pytest.raises(NetworkError, match="received 10 bytes"):
        await bot.send_message(CHAT, "half an answer")

    assert texts(emulator) == ["half an answer"]


async def test_a_held_call_waits_for_its_release(bot: Bot, emulator: TelegramEmulator) -> None:
    held = emulator.order(Fault(method="sendMessage", hold=True))

    sending = asyncio.create_task(bot.send_message(CHAT, "held"))
    call = (await emulator.wait_for(lambda e: e.calls("sendMessage")))[0]
    assert (call.status, texts(emulator)) == (None, [])
    held.release()

    assert (await sending).text == "held"
    assert call.status == 200


async def test_a_delayed_call_outlasts_an_impatient_client(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.order(Fault(method="sendMessage", delay_s=0.2))

    with pytest.raises(TimedOut):
        await bot.send_message(CHAT, "slow", read_timeout=0.05)

    await emulator.wait_for(lambda e: e.messages(CHAT))
    assert texts(emulator) == ["slow"]


async def test_stopping_ends_held_calls_and_waiting_polls(emulator: TelegramEmulator) -> None:
    async with client(emulator) as bot:
        emulator.order(Fault(method="sendMessage", hold=True))
        calls = [
            asyncio.create_task(bot.send_message(CHAT, "held")),
            asyncio.create_task(bot.get_updates(timeout=30)),
        ]
        await emulator.wait_for(lambda e: e.updates.polled and e.calls("sendMessage"))

        async with asyncio.timeout(2):
            await emulator.stop()
            results = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(result, NetworkError) for result in results)
    assert texts(emulator) == []


@pytest.mark.parametrize(
    "order",
    [
        {"method": "sendMessage"},
        {"status": 500, "cut_after": 3},
        {"drop": "both"},
    ],
)
def test_an_order_that_means_nothing_is_refused(order: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=r"fault|drop"):
        Fault(**order)  # type: ignore[arg-type]


# Flood control


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(control: FloodControl, method: str, chat_id: int = CHAT, **more: object) -> int:
    """Seconds a call is told to wait, 0 when it may go."""
    try:
        control.check(method, Params({"chat_id": chat_id, **more}))
    except ApiError as error:
        assert error.status == 429 and error.retry_after is not None
        return error.retry_after
    return 0


def test_a_burst_is_allowed_and_then_one_call_a_second() -> None:
    clock = Clock()
    control = FloodControl(FloodLimits(burst=3, penalty_s=5), clock=clock)

    assert [refused(control, "sendMessage") for _ in range(4)] == [0, 0, 0, 5]
    clock.now += 5
    assert refused(control, "sendMessage") == 0


def test_a_penalty_closes_the_chat_for_everything_but_no_other_chat() -> None:
    clock = Clock()
    control = FloodControl(FloodLimits(burst=1, penalty_s=30), clock=clock)
    refused(control, "sendChatAction")
    assert refused(control, "sendChatAction") == 30

    clock.now += 10.5

    assert refused(control, "sendMessage") == 20
    assert refused(control, "sendMessage", OTHER) == 0
    assert refused(control, "answerCallbackQuery") == 0


def test_the_21st_edit_within_a_minute_is_too_many() -> None:
    clock = Clock()
    control = FloodControl(FloodLimits(), clock=clock)
    for _ in range(20):
        assert refused(control, "editMessageText") == 0
        clock.now += 2

    assert refused(control, "editMessageText") == 20
    assert refused(control, "sendMessage") == 20
    clock.now += 20
    assert refused(control, "editMessageText") == 0


def test_a_group_gets_20_calls_a_minute() -> None:
    clock = Clock()
    control = FloodControl(FloodLimits(), clock=clock)
    for _ in range(20):
        assert refused(control, "sendMessage", -5) == 0
        clock.now += 1

    assert refused(control, "sendMessage", -5) == 40


def test_an_album_counts_each_of_its_files() -> None:
    control = FloodControl(FloodLimits(burst=5), clock=Clock())

    assert refused(control, "sendMediaGroup", media=[{}] * 4) == 0
    assert refused(control, "sendMediaGroup", media=[{}] * 2) > 0


async def test_a_flooding_client_gets_retry_after_and_a_patient_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    emulator = TelegramEmulator(flood=FloodLimits(burst=2, penalty_s=4))
    await emulator.start()
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        for _ in range(2):
            await bot.send_message(CHAT, "x")
        with pytest.raises(RetryAfter) as caught:
            await bot.send_media_group(CHAT, [InputMediaDocument(b"x", filename="x")] * 2)
        assert caught.value.retry_after == timedelta(seconds=4)
        with pytest.raises(TelegramError):
            await bot.send_message(CHAT, "x")
    await emulator.stop()

    assert [c.status for c in emulator.calls(chat_id=CHAT)] == [200, 200, 429, 429]
