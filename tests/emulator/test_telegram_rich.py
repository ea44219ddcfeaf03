"""The emulated Bot API: rich messages, their three forms, their limits and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from bots import CHAT, keyboard
from telegram import Bot, Message
from telegram.error import BadRequest

from bridge.emulator.telegram import TelegramEmulator

Rich = dict[str, Any]


async def send(bot: Bot, rich: object) -> Message:
    """As a client does that knows the method only by name."""
    result: Message = await bot.do_api_request(
        "sendRichMessage",
        api_kwargs={"chat_id": CHAT, "rich_message": rich, "reply_markup": keyboard("more")},
        return_type=Message,
    )
    return result


async def blocks(bot: Bot, html: str) -> list[Rich]:
    """What the server makes of it."""
    message = await send(bot, {"html": html})
    return list(message.api_kwargs["rich_message"]["blocks"])


async def test_html_becomes_blocks(bot: Bot) -> None:
    found = await blocks(
        bot,
        "<h2>Bikes</h2><p>Two <b>good</b>\n  ones:<br/>see below</p><hr/>"
        '<pre><code class="language-py">a\n b</code></pre><tg-math-block>x^2</tg-math-block>',
    )

    assert found == [
        {"type": "heading", "text": "Bikes", "size": 2},
        {
            "type": "paragraph",
            "text": ["Two ", {"type": "bold", "text": "good"}, " ones:\nsee below"],
        },
        {"type": "divider"},
        {"type": "pre", "text": "a\n b", "language": "py"},
        {"type": "mathematical_expression", "expression": "x^2"},
    ]


async def test_tables_lists_and_details_become_blocks(bot: Bot) -> None:
    table, numbered, details = await blocks(
        bot,
        "<table bordered><caption>Prices</caption><tr><th>Bike</th><th align='right'>€</th></tr>"
        "<tr><td colspan='2'>none &lt; 10</td></tr></table>"
        "<ol start='3'><li>a</li><li>b<ul><li>c</li></ul></li></ol>"
        "<details open><summary>How</summary>By <i>hand</i></details>",
    )

    assert table["is_bordered"] and table["caption"] == "Prices"
    assert table["cells"][0][1] == {"text": "€", "is_header": True, "align": "right"}
    assert table["cells"][1][0]["colspan"] == 2 and table["cells"][1][0]["text"] == "none < 10"
    assert [item["label"] for item in numbered["items"]] == ["3.", "4."]
    assert numbered["items"][1]["blocks"][1]["type"] == "list"
    assert details["is_open"] and details["summary"] == "How"


async def test_markdown_and_blocks_say_the_same(bot: Bot) -> None:
    wanted = [{"type": "paragraph", "text": ["a ", {"type": "bold", "text": "b"}]}]

    for rich in ({"markdown": "a **b**"}, {"blocks": wanted}, {"html": "a <strong>b</strong>"}):
        assert (await send(bot, rich)).api_kwargs["rich_message"]["blocks"] == wanted


@pytest.mark.parametrize("rich", [{}, {"html": "a", "markdown": "b"}, {"text": "a"}])
async def test_exactly_one_form_is_given(bot: Bot, rich: Rich) -> None:
    with pytest.raises(BadRequest, match=r"(?i)exactly one of the fields"):
        await send(bot, rich)


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("a <String> b", 'Unsupported start tag "string" at byte offset 2'),
        ("é <div>a</div>", 'Unsupported start tag "div" at byte offset 3'),
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>a</b></i>", 'expected "</i>", found "</b>"'),
        ("<p><table></table></p>", 'Tag "table" at byte offset 3 is not allowed in tag "p"'),
        ("<table><td>a</td></table>", 'Tag "td" at byte offset 7 is not allowed in tag "table"'),
        ("<li>a</li>", 'Tag "li"'),
        ("<tr><td>a</td></tr>", 'Tag "tr"'),
        ("<ul>a</ul>", 'Text is not allowed in tag "ul"'),
        ("<details>a</details>", 'must begin with "summary"'),
        ("<a>a</a>", 'must have attribute "href"'),
        ("<td><p>a</p></td>", 'Tag "td"'),
        ("<table><tr><td><p>a</p></td></tr></table>", "not allowed in a line of text"),
        ("<!-- a -->", "Unsupported start tag"),
        ("<tg-thinking>a</tg-thinking>", "only in drafts"),
        ("  ", "must be non-empty"),
    ],
)
async def test_wrong_html_is_refused_with_its_place(bot: Bot, html: str, reason: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await send(bot, {"html": html})

    assert reason.lower() in str(refused.value).lower()


async def test_an_entity_nobody_knows_stays_visible(bot: Bot) -> None:
    assert (await blocks(bot, "a &amp; b &hellip; &#8364;"))[0]["text"] == "a & b &hellip; €"


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("x" * 32_769, "too long"),
        ("<hr/>" * 501, "too many blocks"),
        ("<blockquote>" * 17 + "a" + "</blockquote>" * 17, "nested too deep"),
        ("<table><tr>" + "<td>a</td>" * 21 + "</tr></table>", "too many columns"),
    ],
)
async def test_the_limits_hold(bot: Bot, html: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        await send(bot, {"html": html})


@pytest.mark.parametrize(
    "html",
    [
        "x" * 32_768,
        "<hr/>" * 500,
        "<blockquote>" * 15 + "a" + "</blockquote>" * 15,
        "<table><tr>" + "<td>a</td>" * 20 + "</tr></table>",
    ],
)
async def test_just_within_the_limits_is_taken(bot: Bot, html: str) -> None:
    assert (await send(bot, {"html": html})).message_id


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "poem", "text": "a"}],
        [{"type": "heading", "text": "a"}],
        [{"type": "paragraph", "text": {"type": "loud", "text": "a"}}],
        [{"type": "list", "items": ["a"]}],
        [{"type": "table", "cells": ["a"]}],
        ["a"],
    ],
)
async def test_wrong_blocks_are_refused(bot: Bot, given: list[object]) -> None:
    with pytest.raises(BadRequest, match=r"(?i)can't parse rich message"):
        await send(bot, {"blocks": given})


async def test_a_text_becomes_rich_and_text_again(bot: Bot, emulator: TelegramEmulator) -> None:
    sent = await bot.send_message(CHAT, "plain")
    rich = {"rich_message": {"html": "<h1>Rich</h1>"}}

    await bot.edit_message_text(
        None,  # type: ignore[arg-type]
        chat_id=CHAT,
        message_id=sent.message_id,
        api_kwargs=rich,
    )

    (message,) = emulator.messages(CHAT)
    assert (message.text, message.rich and message.rich["blocks"][0]["text"]) == ("", "Rich")
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text(
            None,  # type: ignore[arg-type]
            chat_id=CHAT,
            message_id=sent.message_id,
            api_kwargs=rich,
        )
    with pytest.raises(BadRequest, match="both text and rich"):
        await bot.edit_message_text("x", chat_id=CHAT, message_id=sent.message_id, api_kwargs=rich)
    await bot.edit_message_text("plain", chat_id=CHAT, message_id=sent.message_id)
    assert emulator.messages(CHAT)[0].rich is None


async def test_a_rich_draft_may_think(bot: Bot, emulator: TelegramEmulator) -> None:
    given: Rich = {"chat_id": CHAT, "draft_id": 3, "can_stop": True}
    given["rich_message"] = {"html": "<tg-thinking>Hm</tg-thinking><p>So</p>"}

    assert await bot.do_api_request("sendRichMessageDraft", api_kwargs=given)

    (draft,) = emulator.chats[CHAT].drafts.values()
    assert draft.rich and draft.rich["blocks"][0] == {"type": "thinking", "text": "Hm"}
    assert emulator.stop_draft(CHAT) == 3


async def test_a_client_that_cannot_show_it_is_never_told_to_the_bot(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.client_shows_rich(CHAT, False)

    assert (await send(bot, {"html": "<h1>Rich</h1>"})).message_id
    assert emulator.chats[CHAT].shows_rich is False
