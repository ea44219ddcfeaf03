"""What turns speech into text: a program, or a service on the web."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from waiting import until

from bridge import transcribe
from bridge.settings import Secret, Settings
from bridge.transcribe import NotTranscribed, Program, Service, transcriber_of

HOME = {"PATH": "/usr/bin:/bin"}
Serve = Callable[[Callable[[web.Request], Awaitable[web.Response]]], Awaitable[str]]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "1-voice.ogg"
    path.write_bytes(b"Hello there")
    return path


def shell(line: str, *, limit_s: float = 5.0) -> Program:
    return Program(("sh", "-c", line, "{file}"), environment=HOME, limit_s=limit_s)


async def test_a_command_that_names_no_file_gets_it_at_its_end(sound: Path) -> None:
    assert await Program(("cat",), environment=HOME).transcribe(sound) == "Hello there"


async def test_no_shell_reads_the_command_or_the_path(tmp_path: Path) -> None:
    odd = tmp_path / "1-a; touch b $(touch c).ogg"
    odd.write_bytes(b"Hello")

    assert await Program(("cat", "{file}"), environment=HOME).transcribe(odd) == "Hello"

    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


async def test_the_times_that_some_programs_print_are_left_out(sound: Path) -> None:
    line = "echo '[00:00:00.000 --> 00:00:04.000]   Hello'; echo; echo ' there  '"

    assert await shell(line).transcribe(sound) == "Hello\nthere"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("echo Hello; exit 1", "failed"),
        ("yes", "failed"),
        ("echo ' . '", "silent"),
        ("sleep 60", "too_long"),
    ],
)
async def test_a_program_that_does_not_do_it_says_why(sound: Path, line: str, reason: str) -> None:
    with pytest.raises(NotTranscribed) as error:
        await shell(line, limit_s=0.5 if reason == "too_long" else 10.0).transcribe(sound)

    assert error.value.reason == reason


async def test_pipes_that_a_child_which_fled_still_holds_are_closed(sound: Path) -> None:
    with pytest.raises(NotTranscribed):
        await shell("setsid -f sleep 3", limit_s=0.5).transcribe(sound)

    gc.collect()  # an open one would be told of here, which fails the test


async def test_a_program_that_is_not_there_says_so(sound: Path) -> None:
    program = Program(("no-such-program-here",), environment=HOME)

    with pytest.raises(NotTranscribed, match="no-such-program-here cannot be started"):
        await program.transcribe(sound)

    assert "There is no program no-such-program-here" in await program.problem()
    assert await Program(("cat",), environment=HOME).problem() == ""


async def test_whatever_it_started_ends_with_it(sound: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    line = f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
    task = asyncio.create_task(shell(line, limit_s=60).transcribe(sound))
    await until(pid.exists)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await until(lambda: not _lives(int(pid.read_text())))


@pytest.mark.parametrize("turns", range(8))
async def test_whoever_breaks_it_off_while_it_starts_does_not_wait(sound: Path, turns: int) -> None:
    task = asyncio.create_task(shell("sleep 600 & wait", limit_s=60).transcribe(sound))
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()

    async with asyncio.timeout(20):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def _lives(pid: int) -> bool:
    """A zombie that nobody has fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a service that answers with this; its address."""
    runners: list[web.AppRunner] = []

    async def start(answer: Callable[[web.Request], Awaitable[web.Response]]) -> str:
        app = web.Application()
        app.router.add_post("/v1/audio/transcriptions", answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}/v1"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_service_gets_file_model_and_key(sound: Path, serve: Serve) -> None:
    got: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        got.update(name=file.filename, data=file.file.read().decode(), model=str(form["model"]))
        got["key"] = request.headers["Authorization"]
        return web.json_response({"text": " Hello there "})

    service = Service(await serve(answer), key=Secret("k1"), model="whisper-1")
    try:
        assert await service.problem() == ""
        assert await service.transcribe(sound) == "Hello there"
    finally:
        await service.close()
    assert got == {
        "name": "1-voice.ogg",
        "data": "Hello there",
        "model": "whisper-1",
        "key": "Bearer k1",
    }


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(500, "{}", "failed"), (302, "", "failed"), (200, '{"text": ""}', "silent")],
)
async def test_a_service_that_does_not_do_it_says_why(
    sound: Path, serve: Serve, status: int, body: str, reason: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    service = Service(await serve(answer), key=Secret(""), model="m")

    with pytest.raises(NotTranscribed) as error:
        await service.transcribe(sound)

    await service.close()
    assert error.value.reason == reason


async def test_a_service_that_says_too_much_is_not_listened_to(
    sound: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe, "OUTPUT_BYTES_MAX", 100)

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"text": "word " * 100})

    service = Service(await serve(answer), key=Secret(""), model="m")

    with pytest.raises(NotTranscribed, match="too much"):
        await service.transcribe(sound)

    await service.close()


async def test_a_service_that_is_not_there_says_so(sound: Path) -> None:
    service = Service("http://127.0.0.1:9/v1", key=Secret(""), model="m")

    with pytest.raises(NotTranscribed) as error:
        await service.transcribe(sound)
    assert error.value.reason == "failed"
    assert "Nothing answers at KITT_TRANSCRIBER_URL" in await service.problem()

    await service.close()


def test_the_settings_say_which_one_it_is() -> None:
    assert transcriber_of(Settings()) is None
    assert isinstance(transcriber_of(Settings(transcriber=("cat",))), Program)
    assert isinstance(transcriber_of(Settings(transcriber_url="http://x/v1")), Service)
