"""A conversation whose turn was left in the middle of a tool call, made fit to go on.

The provider takes no call without its result, so whoever ends a turn from outside (a person says
stop, the work moves to the background) gives the open calls one first.
"""

import json
from typing import Final

from bridge.agent.replies import tool_uses
from bridge.agent.tool import result_block
from bridge.conversation import Message, append, load
from bridge.store import Tx

BROKEN_OFF: Final = "Broken off here; its effect is unknown. Check before doing it again."


def close_calls(tx: Tx, conversation: str, *, now: str) -> list[Message]:
    """Give the calls of the last message a result: what is known, or that they were broken off.

    Answers with the whole conversation as it is then.
    """
    messages = load(tx, conversation)
    if not messages or messages[-1].stop_reason != "tool_use":
        return messages
    blocks = []
    for use in tool_uses(messages[-1]):
        known = tx.one("tool_call", conversation=conversation, id=use["id"])
        if known is not None and known["state"] == "done":
            blocks.append(json.loads(known["result"]))
        else:
            blocks.append(result_block(use["id"], BROKEN_OFF, is_error=True))
    results = Message(role="user", content=blocks)
    append(tx, conversation, results, now=now)
    return [*messages, results]
