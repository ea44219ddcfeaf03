"""What is owed to a chat: one row per promise, only for chats that exist in Telegram."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from hypothesis import given
from hypothesis import strategies as st

from bridge import deliveries
from bridge.models import Delivery
from bridge.store import Store, Tx
from bridge.wake import Wake

NOW = "2026-11-22 07:30:00.000"


async def owe(store: Store, **changes: Any) -> None:
    """Owe chat 7 a reply."""
    values = {"chat_id": "7", "thread_id": 0, "kind": "reply", "payload": {"text": "Hi"}, **changes}

    await store.write(lambda tx: deliveries.owe(tx, **values, now=NOW))


async def next_delivery(store: Store, chat_id: str = "7") -> Delivery | None:
    """What the outbox would send next."""
    row = await store.read(lambda tx: tx.one("next_delivery", chat_id=chat_id))
    return None if row is None else deliveries.from_row(row)


def count(store: Store) -> int:
    """Rows of `deliveries`."""
    return len(shell(store.path, "SELECT id FROM deliveries"))


@pytest.mark.parametrize("chat_id", ["7", "-1001234567890", "0"])
def test_numbers_are_chats_of_telegram(chat_id: str) -> None:
    assert deliveries.in_telegram(chat_id)


@pytest.mark.parametrize("chat_id", ["", "cli", "-", "--7", "7a", "7.5", "٧", "²", " 7", "7\n"])
def test_anything_else_is_no_chat_of_telegram(chat_id: str) -> None:
    assert not deliveries.in_telegram(chat_id)


@given(text=st.text())
def test_every_chat_of_telegram_is_a_number(text: str) -> None:
    if deliveries.in_telegram(text):
        assert str(int(text)).lstrip("-") == text.lstrip("-0") or int(text) == 0


async def test_delivery_comes_back_as_it_was_owed(store: Store) -> None:
    payload = {"text": "Hé 🦜 \x00 <b>", "parts": [1, None]}

    await owe(store, thread_id=3, payload=payload)

    found = await next_delivery(store)
    assert found == Delivery(id=1, chat_id="7", thread_id=3, kind="reply", payload=payload)


async def test_same_dedupe_key_twice_is_one_delivery(store: Store) -> None:
    await owe(store, dedupe_key="update:1")
    await owe(store, dedupe_key="update:1")
    await owe(store, dedupe_key="update:2")

    assert count(store) == 2


async def test_deliveries_without_a_key_are_all_kept(store: Store) -> None:
    await owe(store)
    await owe(store)

    assert count(store) == 2


async def test_nobody_is_owed_nothing(store: Store) -> None:
    await owe(store, chat_id="cli")

    assert count(store) == 0


async def test_lone_surrogate_of_a_model_does_not_lose_the_answer(store: Store) -> None:
    await owe(store, payload={"text": "half an emoji: \ud83e!"})

    found = await next_delivery(store)
    assert found is not None
    assert found.payload == {"text": "half an emoji: ?!"}


async def test_rolled_back_transaction_owes_nothing(store: Store) -> None:
    def promise_and_fail(tx: Tx) -> None:
        deliveries.owe(tx, chat_id="7", thread_id=0, kind="reply", payload={}, now=NOW)
        raise KeyError("later step")

    with pytest.raises(KeyError):
        await store.write(promise_and_fail)

    assert count(store) == 0


async def test_wrong_row_is_an_error_and_not_taken_for_a_repeat(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await owe(store, kind=None, dedupe_key="update:1")

    assert count(store) == 0


async def test_owing_wakes_the_bridge(store: Store, memory: Path) -> None:
    bridge = Wake(memory / "run")
    bridge.listen("bridge")

    await owe(store)

    assert await bridge.wait(5)
    bridge.close()


async def test_one_chat_is_served_in_the_order_of_the_promises(store: Store) -> None:
    await owe(store, payload={"text": "first"})
    await owe(store, chat_id="8", payload={"text": "of another chat"})
    await owe(store, payload={"text": "second"})

    first = await next_delivery(store)
    assert first is not None
    await store.write(
        lambda tx: tx.run("part_sent", id=first.id, message_id=100, last=True, now=NOW)
    )
    second = await next_delivery(store)

    assert second is not None
    assert (first.payload, second.payload) == ({"text": "first"}, {"text": "second"})
