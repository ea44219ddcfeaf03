"""Which messages of a group are for the bot, and what of their words is left."""

from typing import Any

import pytest
from telegram import Bot, Update

from bridge.telegram import gate, membership
from bridge.telegram.addressed import Me
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.membership import Membership, Moved

BOT = Bot("123456789:" + "A" * 35)
ME = Me(1, "kitt_bot")
SELF = {"id": 1, "is_bot": True, "first_name": "KITT", "username": "kitt_bot"}
ANNA = {"id": 7, "is_bot": False, "first_name": "Anna", "language_code": "nl"}
OF_THE_BOT: dict[str, Any] = {"from": SELF}
GROUP = {"id": -1007, "type": "supergroup", "title": "Birds"}
CHANNEL = {"id": -1008, "type": "channel", "title": "News"}


def update(**kind: Any) -> Update:
    found = Update.de_json({"update_id": 5, **kind}, BOT)
    assert found is not None
    return found


def message(text: str = "Hello", /, **changes: Any) -> dict[str, Any]:
    body = {"message_id": 9, "date": 1, "chat": GROUP, "from": ANNA, "text": text}
    return {**body, **changes}


def mention(text: str, name: str = "@kitt_bot") -> dict[str, Any]:
    """The entity of a name in a text, counted as Telegram does."""
    before = text.partition(name)[0]
    units = len(before.encode("utf-16-le")) // 2
    return {"type": "mention", "offset": units, "length": len(name)}


def read(text: str = "Hello", **changes: Any) -> Incoming | Press | None:
    return gate.read(update(message={**message(text), **changes}), ME)


def words(text: str, **changes: Any) -> str | None:
    item = read(text, **changes)
    assert item is None or isinstance(item, Incoming)
    return None if item is None else item.text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("@kitt_bot how late is it?", "how late is it?"),
        ("@kitt_bot, how late is it?", "how late is it?"),
        ("how late is it @kitt_bot", "how late is it"),
        ("hey @kitt_bot, how late?", "hey how late?"),
        ("🦆🦆 @kitt_bot which bird?", "🦆🦆 which bird?"),
        ("@kitt_bot\nfirst\nsecond", "first\nsecond"),
        ("@kitt_bot", ""),
    ],
)
def test_a_mention_is_for_the_bot_and_is_left_out(text: str, left: str) -> None:
    assert words(text, entities=[mention(text)]) == left


def test_every_mention_is_left_out() -> None:
    text = "@kitt_bot hello @KITT_BOT"

    assert words(text, entities=[mention(text), mention(text, "@KITT_BOT")]) == "hello"


def test_someone_without_a_username_is_mentioned_by_their_name() -> None:
    entity = {"type": "text_mention", "offset": 0, "length": 4, "user": SELF}

    assert words("KITT what is this?", entities=[entity]) == "what is this?"


def test_a_mention_below_a_picture_counts() -> None:
    sizes = [{"file_id": "x", "file_unique_id": "x", "width": 9, "height": 9}]
    caption = "@kitt_bot which bird?"
    body = message(photo=sizes, caption=caption, caption_entities=[mention(caption)])
    del body["text"]

    item = gate.read(update(message=body), ME)

    assert isinstance(item, Incoming)
    assert (item.text, item.has_file) == ("which bird?", True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"entities": [{"type": "mention", "offset": 0, "length": 5}]},
        {"entities": [{"type": "bold", "offset": 0, "length": 9}]},
        {"reply_to_message": message("of Anna")},
        {
            "reply_to_message": message(
                "of a topic",
                **OF_THE_BOT,
                forum_topic_created={"name": "Ducks", "icon_color": 1},
            )
        },
        {"sender_chat": CHANNEL},
        {"sender_chat": GROUP, "from": {"id": 1087968824, "is_bot": True, "first_name": "Group"}},
        {"from": ANNA | {"is_bot": True}},
    ],
    ids=str,
)
def test_what_people_say_to_each_other_is_not_read(changes: dict[str, Any]) -> None:
    assert read("@anna @kitt_bot_2 hello", **changes) is None


def test_a_name_that_is_no_mention_is_not_one() -> None:
    assert read("mail me at x@kitt_bot") is None


def test_in_the_name_of_the_group_nobody_speaks() -> None:
    text = "@kitt_bot hello"

    assert read(text, entities=[mention(text)], sender_chat=GROUP) is None


def test_a_reply_to_the_bot_is_for_it() -> None:
    item = read("and then?", reply_to_message=message("An answer", **OF_THE_BOT))

    assert isinstance(item, Incoming)
    assert (item.text, item.quote) == ("and then?", "An answer")


@pytest.mark.parametrize("text", ["/jobs", "/jobs@kitt_bot", "/JOBS@Kitt_Bot", "/job@kitt_bot 12"])
def test_a_command_is_for_the_bot(text: str) -> None:
    assert words(text) == text


@pytest.mark.parametrize("text", ["/jobs@other_bot", "/jobs@kitt_bot_2 @kitt_bot"])
def test_a_command_of_another_bot_is_not(text: str) -> None:
    assert words(text, reply_to_message=message("An answer", **OF_THE_BOT)) is None


def test_a_path_is_no_command() -> None:
    assert read("/etc/hosts is a file") is None


def test_nothing_is_for_a_bot_that_does_not_know_itself() -> None:
    text = "@kitt_bot hello"

    assert gate.read(update(message=message(text, entities=[mention(text)]))) is None


def test_what_is_let_in_knows_its_group() -> None:
    item = read("/jobs")

    assert isinstance(item, Incoming)
    assert (item.chat_id, item.user_id, item.title) == ("-1007", "7", "Birds")
    assert (item.in_group, item.reply_to) == (True, 9)


def test_a_thread_is_a_topic_only_where_there_are_topics() -> None:
    chain, topic = (
        read("/jobs", message_thread_id=4),
        read("/jobs", message_thread_id=4, is_topic_message=True),
    )

    assert chain is not None
    assert topic is not None
    assert (chain.thread_id, topic.thread_id) == (0, 4)


def test_a_press_in_a_group_is_read() -> None:
    query = {"id": "77", "from": ANNA, "chat_instance": "1", "data": "v1:jc:1:x"}
    item = gate.read(update(callback_query={**query, "message": message(**OF_THE_BOT)}), ME)

    assert isinstance(item, Press)
    assert (item.chat_id, item.user_id, item.in_group) == ("-1007", "7", True)


# Groups as a whole


def change(before: str, after: str, **more: Any) -> dict[str, Any]:
    def member(status: str) -> dict[str, Any]:
        rights = {"until_date": 0, "is_member": False} if status in ("restricted", "kicked") else {}
        return {"user": SELF, "status": status, **rights}

    body = {"chat": GROUP, "from": ANNA, "date": 1, "old_chat_member": member(before)}
    return {**body, "new_chat_member": member(after), **more}


@pytest.mark.parametrize(
    ("before", "after", "inside"),
    [
        ("left", "member", True),
        ("kicked", "member", True),
        ("member", "left", False),
        ("member", "kicked", False),
    ],
)
def test_coming_in_and_going_out_are_read(before: str, after: str, inside: bool) -> None:
    assert membership.read(update(my_chat_member=change(before, after))) == Membership(
        update_id=5,
        chat_id="-1007",
        title="Birds",
        user_id="7",
        name="Anna",
        language="nl",
        inside=inside,
    )


@pytest.mark.parametrize(
    "body",
    [
        change("left", "kicked"),
        change("left", "member", chat=CHANNEL),
        change("left", "member", chat={"id": 7, "type": "private", "first_name": "Anna"}),
    ],
    ids=["stays out", "channel", "private"],
)
def test_other_changes_are_nothing_to_a_group(body: dict[str, Any]) -> None:
    assert membership.read(update(my_chat_member=body)) is None


def test_both_messages_about_a_new_id_say_the_same() -> None:
    old = {"id": -7, "type": "group", "title": "Birds"}
    to = message(chat=old, migrate_to_chat_id=-1007)
    since = message(migrate_from_chat_id=-7)

    for body in (to, since):
        del body["text"]
        moved = membership.read(update(message=body))
        assert moved == Moved(update_id=5, old_id="-7", new_id="-1007")
