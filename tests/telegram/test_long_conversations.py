"""A conversation that has become long: summed up beside the chat, and known in the next answer."""

from chatting import House, Person
from waiting import until

from bridge import conversation
from bridge.agent.compaction import KEPT, MESSAGES_MAX
from bridge.conversation import Message
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request
from bridge.store import Tx

SUMMARY = "Sister Marieke comes on 14 March."


def sums_up(request: Request) -> Reply | None:
    return Reply(SUMMARY) if "sum up a conversation" in str(request.body["system"]) else None


async def test_the_model_goes_on_with_a_summary_and_the_last_messages(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.rules.insert(0, sums_up)

    def talked(tx: Tx) -> None:
        for number in range(MESSAGES_MAX):
            block = {"type": "text", "text": f"line {number}"}
            role, stop = ("assistant", "end_turn") if number % 2 else ("user", None)
            message = Message(role=role, content=[block], stop_reason=stop)
            conversation.append(tx, f"chat:{chat.chat_id}:0", message, now="2026-11-27 12:00:00")

    await bridge.store.write(talked)
    await chat.ask("hello")
    await until(lambda: bridge.rows("SELECT 1 FROM conversations WHERE summary IS NOT NULL"))

    await chat.ask("hello again")

    messages = claude.requests[-1].body["messages"]
    assert messages[0]["content"][0]["text"].startswith(f"<kitt-summary>{SUMMARY}")
    assert len(messages) == 1 + KEPT + 1
