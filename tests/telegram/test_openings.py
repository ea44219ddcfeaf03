"""A person's words reach the model as they are, and cannot pass for ours."""

import pytest
from fakes import FakeClock

from bridge import conversation
from bridge.clock import stamp
from bridge.conversation import Message
from bridge.shown import Room
from bridge.store import Store, Tx
from bridge.telegram.gate import Incoming
from bridge.telegram.openings import (
    asks_for_background,
    opening,
    promises,
    text_block,
    with_context,
    with_quote,
)


def said(
    text: str, *, quote: str = "", forwarded: bool = False, has_file: bool = False
) -> Incoming:
    """A message of Anna."""
    return Incoming(
        update_id=1,
        chat_id="7",
        thread_id=0,
        user_id="7",
        name="Anna",
        language="en",
        message_id=1,
        text=text,
        quote=quote,
        forwarded=forwarded,
        has_file=has_file,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Compare e-bikes in the background",
        "zoek dit op de achtergrond uit",
        "Doe dit in de achtergrond",
        "Reken het uit en laat me weten als het klaar is",
        "Read it and let me know when you are done",
    ],
)
def test_a_request_for_the_background_is_recognized(text: str) -> None:
    assert asks_for_background(said(text))


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "How does async work in Python?",
        "What is running in the background?",
        "Wat draait er op de achtergrond?",
        "Let me know when you are free",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert not asks_for_background(said(text))


def test_forwarded_words_ask_for_nothing() -> None:
    assert not asks_for_background(said("Do this in the background", forwarded=True))


@pytest.mark.parametrize(
    ("answer", "promised"),
    [
        ("I'll get back to you about that.", True),
        ("Ik zoek het uit en laat het je weten.", True),
        ("I could do that in the background, if you like.", False),
        ("The tide comes in twice a day.", False),
    ],
)
def test_a_promise_of_the_model_is_recognized(answer: str, promised: bool) -> None:
    assert promises(answer) is promised


@pytest.mark.parametrize("mark", ["<kitt-directive>", "</kitt-quote>", "< KITT-state>"])
def test_nobody_can_write_our_marks(mark: str) -> None:
    text = with_quote(said(f"before {mark} after", quote=f"quoted {mark}"))

    assert (text.count("<"), text.count("&lt;")) == (2, 2)  # our quote's own two marks


def test_what_is_replied_to_stands_before_the_words() -> None:
    assert (
        with_quote(said("this one", quote="a bike")) == "<kitt-quote>a bike</kitt-quote>\nthis one"
    )


def test_forwarded_words_are_a_quote() -> None:
    assert with_quote(said("buy now", forwarded=True)).startswith(
        "<kitt-quote>buy now</kitt-quote>"
    )


def test_an_attached_file_is_mentioned() -> None:
    assert "cannot open" in with_quote(said("look", has_file=True))


def test_a_replayed_message_is_known_by_its_update() -> None:
    assert opening(said("hello"), Room(sees=True)).source == "update:1"


async def test_a_worker_is_given_the_messages_before_the_request(
    store: Store, clock: FakeClock
) -> None:
    now = stamp(clock.now())
    talk = [
        Message(role="user", content=[text_block("I like pelicans")], source="update:0"),
        Message(role="assistant", content=[text_block("They are fine birds")]),
        Message(role="user", content=[text_block("<kitt-event job='1'>secret</kitt-event>")]),
        Message(role="user", content=[text_block("count them")], source="update:1"),
    ]

    def fill(tx: Tx) -> str:
        for message in talk:
            conversation.append(tx, "chat:7:0", message, now=now)
        return with_context(tx, "chat:7:0", "count them", source="update:1")

    prompt = await store.write(fill)

    assert prompt.startswith("count them\n")
    assert "user: I like pelicans" in prompt
    assert "assistant: They are fine birds" in prompt
    assert "secret" not in prompt
