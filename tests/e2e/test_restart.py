"""`/restart` in the chat, with the real supervisord."""

from stack import Stack
from waiting import until


async def test_a_restart_from_the_chat_gives_every_program_a_new_process_and_is_told_once(
    kitt: Stack,
) -> None:
    programs = ("kitt-bridge", "kitt-worker-1")
    before = {name: await kitt.pid(name) for name in programs}
    kitt.telegram.send(1, "/restart")
    await kitt.said(1, "Restart everything?")
    (asked,) = [message for message in kitt.telegram.messages(1) if message.buttons]

    kitt.telegram.press(1, asked.message_id, "🔁 Restart")

    await kitt.said(1, "I am back.", 60)
    after = {name: await kitt.pid(name) for name in programs}
    assert not set(before.values()) & set(after.values())
    await kitt.settled()
    texts = [message.text for message in kitt.telegram.messages(1) if message.from_bot]
    assert len(texts) == 2
    assert texts[0].startswith("🔁 Restarting")
    kitt.telegram.send(1, "/bg Count the pelicans")
    await until(lambda: kitt.jobs("done"), 30)
