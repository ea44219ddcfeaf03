"""Rich Messages on their way out: the call, what is sent when it fails, and the button for tables.

The HTML is made when the message is sent; until then the delivery holds the Markdown. Any refusal
leads to the text with entities, so that a server or a client of yesterday costs nobody an answer.
"""

import asyncio
from typing import Final

from bridge.models import Delivery
from bridge.telegram import compose
from bridge.telegram.api import Api, Buttons, Rejected
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.texts import say

KINDS: Final = ("rich", "edit_rich")
TABLE_FILE: Final = "kitt-table.md"


class RichOut:
    """Sends the parts that are Rich Messages."""

    def __init__(self, *, api: Api, signer: Signer) -> None:
        self._api = api
        self._signer = signer

    async def send(self, delivery: Delivery, part: Part, *, mark: str = "") -> int:
        """Send or edit one; the message's id. Raises: Rejected when it cannot be rich."""
        from bridge.telegram.rich import rich_html  # with the parser, only when it is needed

        if not self._api.knows_rich:
            raise Rejected("no_rich", "This server knows no rich messages.")
        markdown = f"{mark}\n\n{part['markdown']}" if mark else part["markdown"]
        html = await asyncio.to_thread(rich_html, markdown)
        if html is None:
            raise Rejected("no_rich", "This text cannot be a rich message.")
        if part["do"] == "edit_rich":
            message_id = int(part["message_id"])
            await self._api.edit_rich(
                delivery.chat_id, message_id, html, buttons=part.get("buttons")
            )
            return message_id
        return await self._api.send_rich(
            delivery.chat_id,
            html,
            thread_id=part.get("thread_id", delivery.thread_id),
            reply_to=part.get("reply_to"),
            silent=part.get("silent", False),
            buttons=part.get("buttons"),
        )

    def buttons(self, delivery: Delivery, part: Part, language: str) -> Buttons:
        """Those of a text, and one more below a text with tables."""
        table = (say(language, "button_table"), "rt", delivery.id)
        return [*part.get("buttons", ()), *self._signer.row(delivery.chat_id, table)]


def without_rich(part: Part, language: str) -> list[Part]:
    """What is sent in its place: the text with entities; for who asked for the table, a file."""
    reply_to = part.get("reply_to")
    if part.get("asked"):
        sentence = compose.plain_part(say(language, "table_in_file"), reply_to=reply_to)
        file = {"do": "document", "name": TABLE_FILE, "content": part["markdown"], "silent": True}
        return [sentence, file]
    parts = compose.text_parts(
        part["markdown"], language=language, file_name=part["file_name"], reply_to=reply_to
    )
    if part.get("silent"):
        parts = [{**each, "silent": True} for each in parts]
    if part.get("buttons"):
        parts[_last_text(parts)]["buttons"] = part["buttons"]
    if part["do"] == "edit_rich":
        parts = compose.replacing(parts, part["message_id"])
    return parts


def _last_text(parts: list[Part]) -> int:
    return max(number for number, part in enumerate(parts) if part["do"] == "text")
