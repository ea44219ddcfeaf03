"""Files in a conversation: references in the database, the provider's blocks in a request."""

from pathlib import Path
from typing import Any

import pytest
from turns import Desk

from bridge.conversation import Message
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Text, Thinking
from bridge.errors import ModelRefused
from bridge.received import Sent, keep

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30
BOUND = "claude-sonnet-5-5"  # a thought of it is valid only after what stood before it


def openings(folder: Path, text: str, *, number: int) -> list[Message]:
    sent = Sent(chat_id="7", message_id=number, name="a.png", media_type="image/png")
    content: list[dict[str, Any]] = [
        keep(folder, sent, PNG).block(),
        {"type": "text", "text": text},
    ]
    return [Message(role="user", content=content, source=f"update:{number}")]


async def test_a_thought_after_a_picture_stays_valid(desk: Desk, tmp_path: Path) -> None:
    desk.says("look", Reply([Thinking("A bird."), Text("I see a bird.")]))
    turn = {"files_dir": tmp_path, "model_name": BOUND}

    await desk.turn(**turn).run(openings(tmp_path, "look", number=1))
    await desk.turn(**turn).run(openings(tmp_path, "look again", number=2))

    assert [record.status for record in desk.claude.requests] == [200, 200]
    (row,) = desk.rows("SELECT sum(length(content)) AS chars FROM messages")
    assert row["chars"] < 2_000


async def test_a_conversation_goes_on_after_a_picture_is_gone(desk: Desk, tmp_path: Path) -> None:
    desk.says("look", Reply([Thinking("A bird."), Text("I see a bird.")]))
    turn = {"files_dir": tmp_path, "model_name": BOUND}
    await desk.turn(**turn).run(openings(tmp_path, "look", number=1))
    (tmp_path / "7" / "1-a.png").unlink()

    outcome = await desk.turn(**turn).run(openings(tmp_path, "look again", number=2))

    assert outcome.text == "I see a bird."
    first, answer, _ = desk.claude.requests[-1].body["messages"]
    assert "no longer kept" in first["content"][0]["text"]
    assert [block["type"] for block in answer["content"]] == ["text"]


async def test_thoughts_before_a_refusal_go_and_those_after_it_stay(
    desk: Desk, tmp_path: Path
) -> None:
    desk.says("look", Reply([Thinking("A bird."), Text("I see a bird.")]))
    turn = {"files_dir": tmp_path, "model_name": BOUND}
    await desk.turn(**turn).run(openings(tmp_path, "look", number=1))
    desk.claude.order(Fault(status=413))

    await desk.turn(**turn).run(openings(tmp_path, "look again", number=2))
    await desk.turn(**turn).run(openings(tmp_path, "look once more", number=3))

    assert [record.status for record in desk.claude.requests] == [200, 413, 200, 200]
    _, before, _, after, last = desk.claude.requests[-1].body["messages"]
    assert [block["type"] for block in before["content"]] == ["text"]
    assert [block["type"] for block in after["content"]] == ["thinking", "text"]
    assert [block["type"] for block in last["content"]] == ["image", "text", "text"]


async def test_a_wrong_key_is_not_the_fault_of_a_file(desk: Desk, tmp_path: Path) -> None:
    desk.claude.order(Fault(status=401))

    with pytest.raises(ModelRefused):
        await desk.turn(files_dir=tmp_path).run(openings(tmp_path, "look", number=1))

    assert len(desk.claude.requests) == 1
