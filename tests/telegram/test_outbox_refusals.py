"""What Telegram refuses is changed, held, or said in a sentence; files and cards too."""

import pytest
from aiohttp import ClientSession, web
from chatting import CHAT, OTHER, WORKER, Desk
from fakes import a_job, shell
from waiting import until

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.models import Artifact
from bridge.queue import Queue
from bridge.telegram.compose import plain_part

MARK = "↻ (possibly repeated)\n"


async def test_a_text_with_entities_telegram_refuses_is_sent_plain(desk: Desk) -> None:
    await desk.start()

    wrong = {"type": "bold", "offset": 0, "length": 99}
    await desk.owe({**plain_part("Hello"), "entities": [wrong]})

    await desk.over()
    assert desk.texts() == ["Hello"]
    assert desk.messages()[0].entities == []


async def test_a_reply_to_a_message_that_was_deleted_is_sent_without(desk: Desk) -> None:
    await desk.start()

    await desk.owe(plain_part("Hello", reply_to=4_711))

    await desk.over()
    assert desk.texts() == ["Hello"]
    assert desk.messages()[0].reply_to is None


async def test_a_refusal_of_the_reply_is_sent_without(desk: Desk) -> None:
    gone = "Bad Request: message to be replied not found"
    desk.telegram.order(Fault(method="sendMessage", status=400, description=gone))
    asked = desk.telegram.send(CHAT, "Hello?")["message_id"]
    await desk.start()

    await desk.owe(plain_part("Hello", reply_to=asked))

    await desk.over()
    assert desk.texts() == ["Hello"]
    assert desk.messages()[0].reply_to is None


async def test_an_edit_of_a_message_that_is_gone_is_a_new_message(desk: Desk) -> None:
    await desk.start()

    await desk.owe({**plain_part("Hello"), "do": "edit", "message_id": 4_711})

    await desk.over()
    assert desk.texts() == ["Hello"]


async def test_what_telegram_refuses_for_good_does_not_stop_what_follows(desk: Desk) -> None:
    strange = "Bad Request: something nobody knows"
    desk.telegram.order(Fault(method="sendMessage", status=400, description=strange))
    await desk.start()

    await desk.tell("One")
    await desk.tell("Two")

    await desk.over()
    assert desk.texts() == ["Two"]
    first = desk.rows()[0]
    assert first["status"] == "failed"
    assert strange.removeprefix("Bad Request: ") in first["error"].lower()


async def test_a_broken_row_stops_neither_its_chat_nor_another(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.owe({"do": "text"})
    await desk.tell("Two", chat_id=OTHER)
    await desk.tell("Three")

    await desk.start()

    await desk.over()
    assert desk.texts(OTHER) == ["Two"]
    assert desk.texts(CHAT) == ["Three"]
    assert [row["status"] for row in desk.rows()] == ["failed", "sent", "sent"]
    assert "The lane of chat 7 stopped" in caplog.text


async def test_a_row_that_cannot_be_read_is_given_up_and_the_rest_goes_on(desk: Desk) -> None:
    for text in ("One", "Two", "Three"):
        await desk.tell(text)
    shell(desk.path, "UPDATE deliveries SET payload = '{' WHERE id = 2")

    await desk.start()

    await desk.over()
    assert desk.texts() == ["One", "Three"]
    assert [row["status"] for row in desk.rows()] == ["sent", "failed", "sent"]


async def test_what_belongs_to_a_topic_that_is_gone_is_sent_without(desk: Desk) -> None:
    await desk.tell("Hello")
    shell(desk.path, "UPDATE deliveries SET thread_id = 4711")

    await desk.start()

    await desk.over()
    assert desk.texts() == ["Hello"]
    assert desk.messages()[0].thread_id is None


async def test_what_is_owed_to_someone_who_blocked_the_bot_is_kept(desk: Desk) -> None:
    desk.telegram.block(CHAT)
    await desk.start()

    await desk.tell("One")
    await desk.tell("Two")

    await desk.over()
    assert [row["status"] for row in desk.rows()] == ["held", "held"]
    await until(lambda: desk.outbox.held == {str(CHAT)})  # a moment after the rows
    assert desk.calls() == 1


async def test_what_was_kept_goes_out_in_order_when_the_lane_is_released(desk: Desk) -> None:
    desk.telegram.block(CHAT)
    await desk.start()
    await desk.tell("One")
    await desk.tell("Two")
    await desk.over()
    desk.telegram.unblock(CHAT)

    await desk.store.write(lambda tx: tx.run("release_lane", chat_id=str(CHAT)))
    await desk.tell("Three")

    await desk.over()
    assert desk.texts() == ["One", "Two", "Three"]


async def test_a_chat_that_moved_takes_what_is_owed_and_its_jobs_along(
    desk: Desk, queue: Queue, telegram: TelegramEmulator
) -> None:
    old, new = -55, -1_001_000_000_055
    telegram.open_chat(new)
    async with forwarding(telegram, moved={old: new}) as base_url:
        desk.base_url = base_url
        await queue.add(a_job(chat_id=str(old)))
        shell(desk.path, "DELETE FROM deliveries")
        await desk.start()

        await desk.tell("One", chat_id=old)
        await desk.tell("Two", chat_id=old)
        await desk.in_time(lambda: {row["chat_id"] for row in desk.rows()} == {str(new)})
        desk.outbox.notice()
        await desk.over()

    assert desk.texts(new) == ["One", "Two"]
    assert shell(desk.path, "SELECT chat_id FROM jobs") == [{"chat_id": str(new)}]


async def test_the_files_of_a_job_follow_its_result(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, {"report.md": b"# Report", "more.txt": b"More"})

    await desk.start()

    await desk.over()
    files = [message.document for message in desk.messages() if message.document]
    assert [(file.name, file.data) for file in files] == [
        ("report.md", b"# Report"),
        ("more.txt", b"More"),
    ]
    assert desk.messages()[-1].text == "About more.txt"


async def test_a_long_result_arrives_whole_as_a_file(desk: Desk, queue: Queue) -> None:
    text = "Zeeën van pelicans 🦩\n" * 5_000
    await finish(desk, queue, {}, text)

    await desk.start()

    await desk.over()
    beginning, file = desk.messages()[-2:]
    assert beginning.text.startswith("Zeeën van pelicans 🦩\nZeeën")
    assert beginning.text.endswith("The whole answer is in the file.")
    assert file.document is not None
    assert (file.document.name, file.document.data) == ("kitt-1.md", text.encode())
    (row,) = desk.rows("kind = 'result'")
    assert len(row["payload"]) < 3_000


async def test_a_long_result_whose_job_is_gone_by_then_is_said_to_be_gone(
    desk: Desk, queue: Queue
) -> None:
    await finish(desk, queue, {}, "pelicans " * 5_000)
    desk.telegram.order(Fault(method="sendDocument", status=429, retry_after=2))
    await desk.start()
    await desk.in_time(lambda: desk.calls("sendDocument"))

    shell(desk.path, "DELETE FROM jobs")

    await desk.over()
    assert desk.texts()[-1] == "The file kitt-1.md is no longer there."


async def test_a_file_too_big_for_telegram_is_said_in_a_sentence(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, {"film.mp4": b"x"})
    desk.telegram.order(Fault(method="sendDocument", status=413))

    await desk.start()

    await desk.over()
    assert desk.texts()[-1].startswith("The file film.mp4 is too big for Telegram")


async def test_a_file_that_is_gone_is_said_in_a_sentence(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, {"report.md": b"# Report"})
    (desk.jobs_dir / "1" / "report.md").unlink()

    await desk.start()

    await desk.over()
    assert desk.texts()[-1] == "The file report.md is no longer there."


async def test_a_picture_telegram_cannot_show_is_not_lost_without_a_word(
    desk: Desk, queue: Queue
) -> None:
    await finish(desk, queue, {"map.png": b"this is no picture"})
    refused = "Bad Request: IMAGE_PROCESS_FAILED"
    desk.telegram.order(Fault(method="sendPhoto", status=400, description=refused))

    await desk.start()

    await desk.over()
    assert desk.messages()[-1].document is not None


async def test_a_file_that_may_have_arrived_says_so_when_it_is_repeated(
    desk: Desk, queue: Queue
) -> None:
    await finish(desk, queue, {"report.md": b"# Report"})
    desk.telegram.order(Fault(method="sendDocument", drop="unanswered"))

    await desk.start()

    await desk.over()
    captions = [message.text for message in desk.messages() if message.document]
    assert captions == ["About report.md", f"{MARK}About report.md"]


async def test_a_failed_job_is_told_with_its_buttons(desk: Desk, queue: Queue) -> None:
    await queue.add(a_job(title="Pelicans", max_attempts=1))
    job = await queue.claim(WORKER)
    assert job is not None
    await queue.fail(job, "limit")

    await desk.start()

    await desk.over()
    failure = desk.messages()[-1]
    assert failure.text.startswith("❌ #1 failed · Pelicans")
    labels = [button["text"] for row in failure.buttons for button in row]
    assert (labels[0], labels[-1]) == ("↻ Try again", "🗑 Never mind")


async def test_a_question_of_a_job_is_sent_once_for_each_time_it_asks(
    desk: Desk, queue: Queue
) -> None:
    await queue.add(a_job(title="Pelicans"))
    for number in (1, 2):
        job = await queue.claim(WORKER)
        assert job is not None
        await queue.ask(job, f"Which bank {number}?")
        await queue.answer(job.id, "Left")

    await desk.start()

    await desk.over()
    asked = [text for text in desk.texts() if text.startswith("❓ #1 · Pelicans\n\nWhich bank")]
    assert len(asked) == 2
    assert all(text.endswith("Answer here and the job goes on.") for text in asked)


async def test_a_card_is_kept_with_its_message(desk: Desk, queue: Queue) -> None:
    await queue.add(a_job())

    await desk.start()

    await desk.over()
    (card,) = shell(desk.path, "SELECT * FROM cards")
    assert card["message_id"] == desk.messages()[0].message_id
    assert (card["shown"], card["final"]) == (desk.texts()[0], 0)


async def finish(
    desk: Desk, queue: Queue, files: dict[str, bytes], result: str = "Three pelicans."
) -> None:
    """A job of chat 7 is done, with these files."""
    await queue.add(a_job())
    job = await queue.claim(WORKER)
    assert job is not None
    folder = desk.jobs_dir / str(job.id)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = [Artifact(path=name, name=name, caption=f"About {name}") for name in files]
    await queue.finish(job, result, made)


class forwarding:
    """A Bot API in front of the emulator where groups have become supergroups."""

    def __init__(self, telegram: TelegramEmulator, *, moved: dict[int, int]) -> None:
        self._origin = telegram.base_url.removesuffix("/bot")
        self._moved = moved

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._forward)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/bot"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _forward(self, request: web.Request) -> web.Response:
        form = {str(name): str(value) for name, value in (await request.post()).items()}
        new_id = self._moved.get(int(form.get("chat_id", 0)))
        if new_id is not None:
            body = {
                "ok": False,
                "error_code": 400,
                "description": "Bad Request: group chat was upgraded to a supergroup chat",
                "parameters": {"migrate_to_chat_id": new_id},
            }
            return web.json_response(body, status=400)
        async with (
            ClientSession() as client,
            client.post(f"{self._origin}{request.path}", data=form) as answer,
        ):
            return web.json_response(await answer.json(), status=answer.status)
