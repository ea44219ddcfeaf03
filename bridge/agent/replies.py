"""A reply of the model as it is stored, what can be read in stored messages, and our own notes."""

from collections.abc import Sequence
from typing import Final

from bridge.agent.model import Block, Reply
from bridge.conversation import Message

EMPTY: Final = "…"  # stands for a reply without content, which the API would not take back
CUT: Final = "Your reply was cut off at the length limit. Continue exactly where you stopped."
NO_TEXT: Final = "Give the answer to the user now."
WRAP_UP: Final = "You have used most of your steps. Wrap up and give the result now."
SPENT: Final = (
    "The budget of this task is used up, so this is your last reply and you have no tools. Give "
    "what you have as a partial result, and say in a sentence what is missing."
)
UNKNOWN_EFFECT: Final = (
    "Interrupted by a restart; its effect is unknown. Check before doing it again."
)
OWN_NOTES: Final = (CUT, WRAP_UP, SPENT)


def to_message(reply: Reply) -> Message:
    """A reply as it is stored: no empty message, nothing the API would not take back."""
    content = [b for b in reply.content if b.get("type") != "text" or str(b["text"]).strip()]
    if reply.stop_reason not in ("tool_use", "pause_turn"):
        content = _whole(content)
    known = ("tool_use", "max_tokens", "pause_turn", "refusal")
    stop_reason = reply.stop_reason if reply.stop_reason in known else "end_turn"
    if stop_reason == "tool_use" and not reply.tool_uses:
        stop_reason = "end_turn"
    if stop_reason == "refusal" or not content:
        content = [{"type": "text", "text": reply.refusal or EMPTY}]
    return Message(role="assistant", content=content, stop_reason=stop_reason)


def _whole(content: list[Block]) -> list[Block]:
    """The blocks of a reply that broke off: no call without its result, no thought at the end."""
    answered = {block.get("tool_use_id") for block in content}
    kept = [
        block
        for block in content
        if block.get("type") not in ("tool_use", "server_tool_use") or block["id"] in answered
    ]
    while kept and kept[-1].get("type") in ("thinking", "redacted_thinking"):
        kept.pop()
    return kept


def tool_uses(message: Message) -> list[Block]:
    """The calls in a message."""
    return [block for block in message.content if block.get("type") == "tool_use"]


def text_of(message: Message) -> str:
    """Everything said in a message."""
    return "".join(str(b["text"]) for b in message.content if b.get("type") == "text")


def user_message(text: str) -> Message:
    """A text of our own for the model."""
    return Message(role="user", content=[{"type": "text", "text": text}])


def answer_of(messages: Sequence[Message]) -> str:
    """The text of the last reply, with the parts before it that were cut at the limit."""
    parts: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant" and (not parts or message.stop_reason == "max_tokens"):
            text = text_of(message)
            parts.append("" if text == EMPTY and parts else text)
        elif message.role == "assistant" or text_of(message) not in OWN_NOTES:
            break
    return "".join(reversed(parts))
