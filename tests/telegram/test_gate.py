"""The one gate: a person in a private chat is let in as plain data, everything else is not."""

from typing import Any

import pytest
from telegram import Bot, Update

from bridge.telegram import gate
from bridge.telegram.attached import Attached
from bridge.telegram.gate import Incoming, Press

BOT = Bot("123456789:" + "A" * 35)
ANNA = {
    "id": 7,
    "is_bot": False,
    "first_name": "Anna",
    "last_name": "Vos",
    "language_code": "nl-BE",
}
PRIVATE = {"id": 7, "type": "private", "first_name": "Anna"}
GROUP = {"id": -7, "type": "group", "title": "Birds"}
CHANNEL = {"id": -1007, "type": "channel", "title": "Birds"}


def read(**update: Any) -> Incoming | Press | None:
    return gate.read(Update.de_json({"update_id": 5, **update}, BOT))


def message(text: str | None = "Hello", **changes: Any) -> dict[str, Any]:
    body = {"message_id": 9, "date": 1, "chat": PRIVATE, "from": ANNA, **changes}
    return body if text is None else body | {"text": text}


def incoming(text: str | None = "Hello", **changes: Any) -> Incoming:
    item = read(message=message(text, **changes))
    assert isinstance(item, Incoming)
    return item


def of(**user: Any) -> dict[str, Any]:
    """A message of a person who differs in this."""
    return {**message(), "from": ANNA | user}


def query(data: str = "v1:jc:1:x", **changes: Any) -> dict[str, Any]:
    body = {"id": "77", "from": ANNA, "chat_instance": "1", "data": data, "message": message()}
    return {**body, **changes}


def test_a_message_of_a_person_becomes_plain_data() -> None:
    assert incoming() == Incoming(
        update_id=5,
        chat_id="7",
        thread_id=0,
        user_id="7",
        name="Anna Vos",
        language="nl",
        message_id=9,
        text="Hello",
        sent_at=1,
    )


@pytest.mark.parametrize(
    ("code", "language"), [("nl", "nl"), ("nl-NL", "nl"), ("en", "en"), ("de", "en"), (None, "en")]
)
def test_the_language_is_dutch_or_english(code: str | None, language: str) -> None:
    item = read(message=of(language_code=code))

    assert isinstance(item, Incoming)
    assert item.language == language


def test_a_press_becomes_plain_data() -> None:
    item = read(callback_query=query())

    assert isinstance(item, Press)
    assert (item.chat_id, item.callback_id, item.data, item.message_id) == (
        "7",
        "77",
        "v1:jc:1:x",
        9,
    )


def test_a_press_on_a_message_that_is_too_old_to_see_is_read() -> None:
    gone = {"message_id": 9, "date": 0, "chat": PRIVATE}

    assert isinstance(read(callback_query=query(message=gone)), Press)


@pytest.mark.parametrize(
    "update",
    [
        {"message": message(chat=GROUP)},
        {"message": message(chat={**GROUP, "type": "supergroup"})},
        {"edited_message": message(chat=GROUP)},
        {"channel_post": {"message_id": 9, "date": 1, "chat": CHANNEL, "text": "News"}},
        {"edited_channel_post": {"message_id": 9, "date": 1, "chat": CHANNEL, "text": "News"}},
        {"message": of(is_bot=True)},
        {"message": message(sender_chat=CHANNEL)},
        {"message": {"message_id": 9, "date": 1, "chat": PRIVATE, "text": "nobody's"}},
        {"callback_query": {k: v for k, v in query().items() if k != "message"}},
        {"inline_query": {"id": "1", "from": ANNA, "query": "x", "offset": ""}},
        {
            "poll_answer": {
                "poll_id": "1",
                "user": ANNA,
                "option_ids": [0],
                "option_persistent_ids": [],
            }
        },
        {"shipping_query": None},
        {},
    ],
    ids=str,
)
def test_everything_else_is_not_let_in(update: dict[str, Any]) -> None:
    assert read(**update) is None


@pytest.mark.parametrize(
    "reports",
    [
        {"forum_topic_created": {"name": "Holiday", "icon_color": 1}},
        {"forum_topic_closed": {}},
        {"pinned_message": message()},
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 86400}},
    ],
    ids=str,
)
def test_a_message_that_only_reports_is_not_let_in(reports: dict[str, Any]) -> None:
    assert read(message=message(None, **reports)) is None


@pytest.mark.parametrize(
    "sent",
    [
        {"location": {"latitude": 51.0, "longitude": 3.7}},
        {"contact": {"phone_number": "1", "first_name": "Bo"}},
        {"checklist": {"title": "To do", "tasks": []}},
    ],
    ids=str,
)
def test_what_a_person_sends_is_let_in_whatever_it_is(sent: dict[str, Any]) -> None:
    assert incoming(None, **sent).has_file


def test_a_change_of_membership_is_no_message() -> None:
    me = {"id": 1, "is_bot": True, "first_name": "KITT"}
    change = {
        "chat": PRIVATE,
        "from": ANNA,
        "date": 1,
        "old_chat_member": {"user": me, "status": "member"},
        "new_chat_member": {"user": me, "status": "left"},
    }

    assert read(my_chat_member=change) is None


def test_a_forwarded_message_is_of_the_person_who_forwards_it() -> None:
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "Somebody"}

    item = incoming(forward_origin=origin)

    assert item.user_id == "7"
    assert item.forwarded


def test_forwarded_words_are_never_a_command() -> None:
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "Somebody"}

    assert incoming("/cancel 1", forward_origin=origin).command is None


def test_an_edited_message_says_so() -> None:
    item = read(edited_message=message(edit_date=2))

    assert isinstance(item, Incoming)
    assert item.edited


def test_a_file_is_known_and_its_caption_is_the_text() -> None:
    document = {"file_id": "x", "file_unique_id": "y"}

    item = incoming(None, document=document, caption="What is this?")

    assert (item.has_file, item.text) == (True, "What is this?")


def test_of_a_photo_the_largest_size_is_taken() -> None:
    sizes = [
        {"file_id": name, "file_unique_id": name, "width": side, "height": side, "file_size": side}
        for name, side in (("small", 90), ("large", 1280), ("middle", 320))
    ]

    item = incoming(None, photo=sizes, media_group_id="g")

    assert item.attached == Attached(
        file_id="large", name="photo-9.jpg", media_type="image/jpeg", size=1280
    )
    assert item.album == "g"


def test_a_document_keeps_what_its_sender_calls_it() -> None:
    document = {"file_id": "x", "file_unique_id": "y", "file_name": "a\x00b", "file_size": 7}

    attached = incoming(None, document=document).attached

    assert attached == Attached(file_id="x", name="ab", media_type="", size=7)


@pytest.mark.parametrize("kind", ["voice", "audio", "video_note"])
def test_sound_is_a_file_to_listen_to(kind: str) -> None:
    sound = {"file_id": "x", "file_unique_id": "y", "duration": 3, "length": 240}

    item = incoming(None, **{kind: sound})

    assert item.is_sound and item.attached is not None
    assert item.attached.name.endswith(("-9.ogg", "-9.mp3", "-9.mp4"))
    assert item.attached.duration_s == 3


def test_a_reply_quotes_the_message_it_replies_to() -> None:
    assert incoming(reply_to_message=message("The long answer")).quote == "The long answer"


def test_a_quoted_part_comes_before_the_whole_message() -> None:
    quote = {"text": "long", "position": 4}

    assert incoming(reply_to_message=message("The long answer"), quote=quote).quote == "long"


def test_a_reply_to_a_file_quotes_its_name() -> None:
    document = {"file_id": "x", "file_unique_id": "y", "file_name": "report.pdf"}
    replied = {**message(None), "document": document, "caption": "Read this"}

    assert incoming(reply_to_message=replied).quote == "report.pdf\nRead this"


def test_a_long_quote_is_cut() -> None:
    assert len(incoming(reply_to_message=message("a" * 5_000)).quote) == gate.QUOTE_CHARS_MAX


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", ("help", "")),
        ("/JOB 12", ("job", "12")),
        ("/job@kitt_bot 12", ("job", "12")),
        ("/bg  count the pelicans ", ("bg", "count the pelicans")),
        ("/bg\ncount the pelicans", ("bg", "count the pelicans")),
        ("/bg count\nthe pelicans", ("bg", "count\nthe pelicans")),
        ("/", ("", "")),
        ("Hello /help", None),
        (" /help", None),
    ],
)
def test_a_command_is_its_name_and_what_is_behind_it(
    text: str, command: tuple[str, str] | None
) -> None:
    assert incoming(text).command == command


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "\udfff"])
def test_what_neither_json_nor_sqlite_can_keep_is_taken_out(text: str) -> None:
    item = read(message=of(first_name=text) | {"text": text})

    assert isinstance(item, Incoming)
    assert "\x00" not in item.text + item.name
    (item.text + item.name).encode()


def test_a_quote_is_cleaned_too() -> None:
    quote = incoming(reply_to_message=message("a\ud800b")).quote

    assert quote.encode() == b"a?b"


def test_a_long_name_is_cut() -> None:
    item = read(message=of(first_name="a" * 500))

    assert isinstance(item, Incoming)
    assert len(item.name) == 100
