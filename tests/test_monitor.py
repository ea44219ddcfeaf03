"""`kitt queue monitor`: what it tells, how it looks, and the terminal it gives back."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import FakeClock, OpenStore, a_job, claimed, shell
from rich.cells import cell_len
from rich.console import Console
from waiting import until

from bridge import monitor
from bridge.clock import stamp
from bridge.line import Claimant
from bridge.models import JobStatus, NewJob
from bridge.monitor_view import frame, harmless, span
from bridge.queue import Queue
from bridge.store import statements

HERE: Final = socket.gethostname()
NO_PID: Final = 2**22 + 1  # above the highest that Linux gives
EVIL: Final = "[red]hi[/red] \x1b[31m\x1b]0;me\x07 \u202eabc\u2066 שלום 👩\u200d👩\ufe0f \x9b2J\r\n"


async def look_at(queue: Queue) -> dict[str, Any]:
    return await queue.store.read(lambda tx: monitor.summary(tx, queue.clock.now()))


async def a_worker(queue: Queue, number: int = 1, *, pid: int | None = None) -> str:
    """A worker that has entered itself; its process is this one."""
    pid = os.getpid() if pid is None else pid
    worker_id = f"worker-{number}:{pid}:{number:08x}"
    await queue.register(Claimant(worker_id=worker_id), pid=pid, host=HERE)
    return worker_id


async def a_full_queue(queue: Queue, jobs: int = 40) -> dict[str, Any]:
    """A bit of everything, more of it than fits on a screen."""
    worker_id = await a_worker(queue)
    await queue.add_many(
        [
            a_job(chat_id=f"{n}", prompt=f"Job number {n} of many, with a long name")
            for n in range(jobs)
        ]
    )
    for _ in range(10):
        job = await queue.claim(worker_id)
        assert job is not None
        await queue.progress(job, 50.0, "reading what owners say about it")
    for number in range(2, 12):
        await a_worker(queue, number)
    for number in range(10):
        await queue.add(a_job(prompt="Later", kind=f"kind-{number}"))
        shell(
            queue.store.path,
            "INSERT INTO schedules (chat_id, prompt, every_s) VALUES ('7', 'Every hour', 3600)",
        )
    return await look_at(queue)


def text_of(look: dict[str, Any], *, columns: int = 120, lines: int = 60) -> str:
    return str(frame(look, columns=columns, lines=lines))


def drawn(look: dict[str, Any]) -> str:
    """What a terminal with colours is sent."""
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="truecolor")
    console.print(frame(look, columns=80, lines=24))
    return out.getvalue()


# --- what it tells --------------------------------------------------------------------------------


async def test_empty_queue_is_told_without_a_warning(queue: Queue) -> None:
    look = await look_at(queue)

    assert set(look["jobs"].values()) == {0}
    assert look["oldest_pending"] is None
    assert look["warnings"] == []
    text = text_of(look, columns=80, lines=24)
    for words in ("no jobs yet", "none is running", "nothing runs", "nothing waits"):
        assert words in text


async def test_jobs_are_counted_by_status(queue: Queue) -> None:
    worker_id = await a_worker(queue)
    for _ in range(6):
        await queue.add(a_job())
    await queue.add(a_job(run_at="2096-01-01 00:00:00.000"))
    await queue.add(a_job(after=(6,)))
    done, failed, asking, _ = [await queue.claim(worker_id) for _ in range(4)]
    assert done is not None
    assert failed is not None
    assert asking is not None
    await queue.finish(done, "Forty-two.")
    await queue.fail(failed, "error: no", again=False)
    await queue.ask(asking, "Which river?")
    await queue.cancel(5)

    assert (await look_at(queue))["jobs"] == dict.fromkeys(JobStatus, 1)


async def test_backlog_is_told_by_kind_and_status_with_the_oldest(
    queue: Queue, clock: FakeClock
) -> None:
    await queue.add(a_job(kind="research"))
    clock.advance(60)
    for kind in ("research", "other"):
        await queue.add(a_job(kind=kind))
    await queue.add(a_job(kind="other", run_at="2096-01-01 00:00:00.000"))
    clock.advance(5)

    look = await look_at(queue)

    told = [(r["kind"], r["status"], r["jobs"], r["oldest_s"]) for r in look["backlog"]]
    assert told == [
        ("other", "pending", 1, 5.0),
        ("other", "scheduled", 1, 5.0),
        ("research", "pending", 2, 65.0),
    ]
    assert (look["oldest_pending"], look["oldest_pending_s"]) == ("2026-11-22 07:30:00.000", 65.0)


async def test_running_job_is_told_with_its_worker_step_and_time(
    queue: Queue, clock: FakeClock
) -> None:
    worker_id = await a_worker(queue)
    job = await claimed(queue, worker_id, title="Pelicans")
    await queue.progress(job, 40.0, "counting the left bank")
    clock.advance(75)

    look = await look_at(queue)

    (running,) = look["running"]
    assert (running["id"], running["title"], running["worker"]) == (job.id, "Pelicans", "worker-1")
    assert (running["progress"], running["step"]) == (40.0, "counting the left bank")
    assert running["started_s"] == 75.0
    assert look["workers"][0]["jobs"] == [job.id]
    line = next(x for x in text_of(look).splitlines() if "Pelicans" in x)
    assert re.search(r"#1 +Pelicans +━━━━────── +40% +counting the left… +1m 15s", line)


async def test_worker_is_told_with_its_state_and_what_it_has_ended(
    queue: Queue, clock: FakeClock
) -> None:
    worker_id = await a_worker(queue)
    await queue.finish(await claimed(queue, worker_id), "Forty-two.")
    await queue.fail(await claimed(queue, worker_id), "error: no", again=False)
    clock.advance(3 * 3600)

    (worker,) = (await look_at(queue))["workers"]

    assert (worker["slot"], worker["state"], worker["started_s"]) == ("worker-1", "idle", 10_800.0)
    assert (worker["processed"], worker["failed"], worker["jobs"]) == (2, 1, [])


async def test_worker_whose_process_is_gone_is_dead(queue: Queue) -> None:
    await a_worker(queue, 1, pid=NO_PID)
    await a_worker(queue, 2)

    workers = (await look_at(queue))["workers"]

    assert [(worker["slot"], worker["state"]) for worker in workers] == [
        ("worker-1", "dead"),
        ("worker-2", "idle"),
    ]


async def test_worker_of_another_machine_is_believed(queue: Queue) -> None:
    claimant = Claimant(worker_id=f"worker-1:{NO_PID}:a")
    await queue.register(claimant, pid=NO_PID, host="elsewhere")

    (worker,) = (await look_at(queue))["workers"]

    assert worker["state"] == "idle"


async def test_only_the_last_holder_of_a_slot_is_told(queue: Queue, clock: FakeClock) -> None:
    await a_worker(queue, 1, pid=NO_PID)
    clock.advance(1)
    await a_worker(queue, 1)
    shell(queue.store.path, "UPDATE workers SET state = 'busy' WHERE state = 'gone'")

    (worker,) = (await look_at(queue))["workers"]

    assert worker["pid"] == os.getpid()


async def test_worker_that_has_ended_is_not_told(queue: Queue) -> None:
    worker_id = await a_worker(queue)
    claimant = Claimant(worker_id=worker_id)
    await queue.register(claimant, pid=os.getpid(), host=HERE, state="gone")

    assert (await look_at(queue))["workers"] == []


async def test_schedules_are_told_in_the_order_in_which_they_come(
    queue: Queue, clock: FakeClock
) -> None:
    for name, next_s in (("Later", 7200), ("Soon", 90)):
        shell(
            queue.store.path,
            "INSERT INTO schedules (chat_id, prompt, every_s, next_at) "
            "VALUES ('7', :name, 3600, :at)",
            name=name,
            at=stamp(clock.now() + timedelta(seconds=next_s)),
        )
    shell(
        queue.store.path,
        "INSERT INTO schedules (chat_id, prompt, cron, status) "
        "VALUES ('7', 'Never', '* * * * *', 'paused')",
    )

    look = await look_at(queue)

    assert [(row["title"], row["in_s"]) for row in look["schedules"]] == [
        ("Soon", 90.0),
        ("Later", 7200.0),
    ]
    assert re.search(r"in 1m 30s +Soon +every 1h 00m", text_of(look))


async def test_last_events_come_first(queue: Queue) -> None:
    job = await claimed(queue, await a_worker(queue))
    await queue.progress(job, 40.0, "counting the left bank")
    await queue.fail(job, "error: ValueError")

    look = await look_at(queue)

    assert [row["event"] for row in look["events"]] == ["retry", "progress", "claimed", "added"]
    assert "error: ValueError" in text_of(look)
    assert re.search(r"07:30:00 +#1 +progress +Count the pelicans +counting", text_of(look))


async def test_messages_are_counted_by_status(queue: Queue) -> None:
    for _ in range(3):
        await queue.add(a_job())  # each owes a card
    shell(queue.store.path, "UPDATE deliveries SET status = 'sent' WHERE id = 1")
    shell(queue.store.path, "UPDATE deliveries SET status = 'held' WHERE id = 2")

    assert (await look_at(queue))["deliveries"] == {"sent": 1, "held": 1, "ready": 1}


# --- warnings -------------------------------------------------------------------------------------


async def test_jobs_without_a_living_worker_are_a_warning(queue: Queue) -> None:
    await queue.add(a_job())
    await a_worker(queue, pid=NO_PID)

    look = await look_at(queue)

    assert look["warnings"] == ["No worker is alive and 1 job waits: run `kitt up`."]
    assert " !  No worker is alive and 1 job waits: run `kitt up`." in text_of(look)
    await a_worker(queue)
    assert (await look_at(queue))["warnings"] == []


@pytest.mark.parametrize(
    ("kind", "warning"),
    [
        ("research", "Jobs of kind research are paused: `kitt queue resume research`."),
        ("a; ls", "Jobs of kind a; ls are paused: `kitt queue resume 'a; ls'`."),
        ("*", "All jobs are paused: `kitt queue resume`."),
    ],
)
async def test_paused_kind_is_a_warning(queue: Queue, kind: str, warning: str) -> None:
    await queue.pause(kind)

    look = await look_at(queue)

    assert look["warnings"] == [warning]
    assert [row["kind"] for row in look["paused"]] == [kind]


async def test_open_breaker_is_a_warning_and_a_closed_one_is_none(
    queue: Queue, clock: FakeClock
) -> None:
    shell(
        queue.store.path,
        "INSERT INTO breakers (name, kind, failures, opened_at, open_until, reason) VALUES "
        "('model', '*', 5, '2026-11-22 07:30:00.000', '2026-11-22 07:31:00.000', 'overloaded'), "
        "('host:example.org', 'other', 1, NULL, NULL, 'refused')",
    )

    look = await look_at(queue)

    assert look["warnings"] == [
        "Model failed 5 times, all jobs wait until 07:31:00 UTC: overloaded"
    ]
    assert [row["name"] for row in look["breakers"]] == ["model"]
    clock.advance(60)
    assert (await look_at(queue))["warnings"] == [
        "Model failed 5 times, the next job tries again: overloaded"
    ]


async def test_held_messages_are_a_warning(queue: Queue) -> None:
    await claimed(queue, await a_worker(queue))
    shell(queue.store.path, "UPDATE deliveries SET status = 'held'")

    assert (await look_at(queue))["warnings"] == ["1 message is held: the bot is blocked."]


# --- what a chat or a hand has written ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[red]hi[/red]", "[red]hi[/red]"),
        ("\x1b[31mred\x07\x7f", "␛[31mred␇␡"),
        ("a\x9b2Jb", "a�2Jb"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\u202eabc\u2066\u200f", "abc"),
        ("👩\u200d👩 ❤\ufe0f 👍\U0001f3fd", "👩👩 ❤ 👍"),
        ("שלום – مرحبا – 中文 ë", "שלום – مرحبا – 中文 ë"),
        (None, "None"),
    ],
)
def test_text_is_shown_and_not_obeyed(text: object, shown: str) -> None:
    assert harmless(text) == shown


async def test_names_steps_and_errors_cannot_reach_the_terminal(queue: Queue) -> None:
    job = await claimed(queue, await a_worker(queue), title=EVIL)
    await queue.progress(job, 10.0, EVIL)
    await queue.add(a_job(title=EVIL))
    shell(queue.store.path, "UPDATE jobs SET kind = :kind", kind="\x1b[5m[b]k")
    shell(
        queue.store.path,
        "INSERT INTO schedules (chat_id, prompt, cron, zone) VALUES ('7', :e, :e, :e)",
        e=EVIL,
    )
    shell(queue.store.path, "INSERT INTO breakers VALUES (:e, :e, 5, :e, :e, :e)", e=EVIL)

    sent = drawn(await look_at(queue))

    assert "[red]hi[/red]" in sent
    assert "[b]k" in sent
    left = re.sub(r"\x1b\[[\d;]*m", "", sent)  # our own colours
    assert not set(left) & {
        *map(chr, range(9)),
        "\x07",
        "\x1b",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u200d",
    }
    assert "\x1b[5m" not in sent


async def test_rows_made_by_hand_do_no_harm(queue: Queue) -> None:
    shell(
        queue.store.path,
        "INSERT INTO jobs (chat_id, prompt, status, worker_id, progress, started_at, created_at) "
        "VALUES (x'ff00', x'fffe', 'running', x'80', 'half', 'yesterday', 'long ago')",
    )
    shell(
        queue.store.path,
        "INSERT INTO jobs (chat_id, prompt, kind, created_at) VALUES ('7', 'x', x'80', 'long ago')",
    )
    shell(
        queue.store.path,
        "INSERT INTO job_events (job_id, at, attempt, event) VALUES (1, 'x', 1, '')",
    )

    look = await look_at(queue)

    assert json.loads(json.dumps(look))["running"][0]["started_s"] is None
    assert "#1" in text_of(look)


# --- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "lines"),
    [(80, 24), (120, 40), (200, 60), (110, 12), (70, 10), (40, 15), (20, 4), (1, 1)],
)
async def test_frame_fits_the_terminal(queue: Queue, columns: int, lines: int) -> None:
    look = await a_full_queue(queue)
    look["warnings"] = ["Something is wrong with a long sentence to say about it. " * 5] * 9

    shown = frame(look, columns=columns, lines=lines).lines

    assert len(shown) <= lines
    if columns >= 40:
        widths = [sum(cell_len(text) for text, _ in line) for line in shown]
        assert max(widths) <= columns


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
async def test_every_section_has_room_however_full_the_others_are(
    queue: Queue, columns: int, lines: int
) -> None:
    look = await a_full_queue(queue)

    shown = text_of(look, columns=columns, lines=lines).splitlines()

    assert len(shown) == lines
    for title in ("Workers", "Backlog", "Running", "Next by schedule", "Events"):
        (at,) = (number for number, line in enumerate(shown) if title in line)
        column = shown[at].index(title)
        assert len([line for line in shown[at + 1 : at + 4] if line[column:].strip()]) == 3


async def test_room_that_one_section_leaves_is_given_to_the_others(queue: Queue) -> None:
    for number in range(30):
        await queue.add(a_job(prompt=f"Job {number}"))

    text = text_of(await look_at(queue), columns=80, lines=24)

    assert text.count(" added ") == 24 - 10  # what the others have, with their headings


async def test_many_warnings_leave_room_for_the_rest(queue: Queue) -> None:
    look = await a_full_queue(queue)
    look["warnings"] = [f"Trouble {number}" for number in range(9)]

    text = text_of(look, columns=80, lines=24)

    assert text.count("Trouble") == 3
    assert "Running" in text


async def test_wide_terminal_shows_sections_side_by_side(queue: Queue) -> None:
    look = await a_full_queue(queue)

    wide = text_of(look, columns=120, lines=40).splitlines()
    narrow = text_of(look, columns=40, lines=40).splitlines()

    assert any("Running" in line and "Workers" in line for line in wide)
    assert not any("Running" in line and "Workers" in line for line in narrow)


async def test_only_colours_that_dark_and_light_terminals_define_are_used(queue: Queue) -> None:
    look = await a_full_queue(queue)
    look["warnings"] = ["Something is wrong."]

    codes = {
        int(n) for found in re.findall(r"\x1b\[([\d;]*)m", drawn(look)) for n in found.split(";")
    }

    assert codes <= {0, 1, 2, 7, 31, 32, 33, 35}  # bold, dim, reverse; red, green, yellow, magenta


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        ("soon", "-"),
        (-5, "0s"),
        (59.9, "59s"),
        (60, "1m 00s"),
        (3 * 3600 + 125, "3h 02m"),
        (2 * 86_400 + 3600, "2d 1h"),
        (5_000 * 86_400, "5000d"),
    ],
)
def test_length_of_time_fits_its_column(seconds: object, shown: str) -> None:
    assert span(seconds) == shown


# --- when it reads --------------------------------------------------------------------------------


async def test_queue_is_read_again_when_it_has_changed_or_a_second_has_passed(
    queue: Queue, open_store: OpenStore, clock: FakeClock
) -> None:
    looks = monitor.Looks(Queue(store=await open_store(), clock=clock))
    first = await looks.look()
    assert await looks.look() is first

    await queue.add(a_job())
    second = await looks.look()
    assert second["jobs"]["pending"] == 1
    assert await looks.look() is second

    clock.advance(1)
    assert await looks.look() is not second


async def test_counting_what_has_ended_is_not_repeated_while_it_is_costly(
    queue: Queue, open_store: OpenStore, clock: FakeClock
) -> None:
    class Slow(FakeClock):
        """Everything takes a second."""

        def monotonic(self) -> float:
            self.advance(1)
            return super().monotonic()

    slow = Slow()
    looks = monitor.Looks(Queue(store=await open_store(), clock=slow))
    assert (await looks.look())["jobs"]["done"] == 0
    await queue.finish(await claimed(queue), "Forty-two.")

    assert (await looks.look())["jobs"]["done"] == 0
    slow.advance(200)
    assert (await looks.look())["jobs"]["done"] == 1


async def test_counting_what_has_ended_is_not_repeated_while_nothing_changes(
    queue: Queue, open_store: OpenStore, clock: FakeClock
) -> None:
    store = await open_store()
    asked: list[str] = []
    await store.read(lambda tx: tx._connection.set_trace_callback(asked.append))
    looks = monitor.Looks(Queue(store=store, clock=clock))
    for _ in range(3):
        await looks.look()
        clock.advance(1)

    counted = [text for text in asked if statements()["watched_ended"] in text]
    read = [text for text in asked if statements()["watched_queues"] in text]
    assert (len(counted), len(read)) == (1, 3)


async def test_look_does_not_wait_for_a_writer(queue: Queue) -> None:
    with closing(sqlite3.connect(queue.store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")

        assert (await look_at(queue))["jobs"]["pending"] == 0


# --- watching -------------------------------------------------------------------------------------

PROGRAM: Final = """
import asyncio, sys
from pathlib import Path
from bridge.clock import Clock
from bridge.monitor import watch
from bridge.queue import Queue
from bridge.store import statements
from bridge.store import Store

async def main(path, every_s, form):
    store = await Store.open(path, path.parent / "run")
    try:
        queue = Queue(store=store, clock=Clock())
        return await watch(queue, every_s=float(every_s), as_json=form == "json")
    finally:
        await store.close()

try:
    sys.exit(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:])))
except KeyboardInterrupt:
    sys.exit(130)
"""


class Screen:
    """A monitor on a terminal of its own."""

    def __init__(self, path: Path, *, every_s: float) -> None:
        self._ours, self._theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.resize(80, 24)
        self.before = self.settings()
        self.sent = ""
        self._rest = b""
        environ = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path), str(every_s), "screen"],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            # whoever runs the tests may say how wide his own terminal is
            env={k: v for k, v in environ.items() if k not in ("COLUMNS", "LINES")},
            start_new_session=True,
            preexec_fn=self._be_its_terminal,
        )

    def _be_its_terminal(self) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSCTTY, 0)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def settings(self) -> list[Any]:
        """Of the terminal: what tcgetattr says."""
        return termios.tcgetattr(self._theirs)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def shown(self) -> list[str]:
        """The lines of the last frame, without colours."""
        with suppress(BlockingIOError):
            while part := os.read(self._ours, 65_536):
                self._rest += part
        self.sent = self._rest.decode(errors="replace")
        last = self.sent.rpartition("\x1b[H")[2]
        return re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", last).replace("\r", "").split("\n")

    async def shows(self, words: str) -> list[str]:
        """Wait until some line of the screen has these words."""
        await until(lambda: any(words in line for line in self.shown()))
        return self.shown()

    async def ended(self) -> int:
        """The exit code, when it has ended by itself."""
        await until(lambda: self.process.poll() is not None)
        self.shown()
        return self.process.returncode

    def is_as_before(self) -> bool:
        """Is the terminal given back: its settings, the first screen, the cursor?"""
        return (
            self.settings() == self.before
            and self.sent.rfind("\x1b[?1049h") < self.sent.rfind("\x1b[?1049l")
            and self.sent.rfind("\x1b[?25l") < self.sent.rfind("\x1b[?25h")
        )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def screen(queue: Queue) -> Iterator[Screen]:
    """A monitor that looks only once unless something wakes it."""
    opened = Screen(queue.store.path, every_s=3600)
    yield opened
    opened.close()


@pytest.mark.parametrize(("end", "code"), [("q", 0), ("\x03", 130), ("TERM", 0)])
async def test_monitor_ends_and_gives_the_terminal_back(
    screen: Screen, end: str, code: int
) -> None:
    await screen.shows("nothing waits")
    assert not screen.is_as_before()

    if end == "TERM":
        screen.process.send_signal(signal.SIGTERM)
    else:
        screen.type(end)

    assert await screen.ended() == code
    assert screen.is_as_before()
    assert "Traceback" not in screen.sent


async def test_other_keys_are_neither_shown_nor_obeyed(screen: Screen) -> None:
    await screen.shows("nothing waits")

    screen.type("x\x1a\x1b[A")  # a letter, Ctrl-Z, an arrow
    screen.resize(60, 20)
    screen.process.send_signal(signal.SIGWINCH)  # a frame after the keys

    lines = await screen.shows("nothing waits")
    await until(lambda: len(screen.shown()) == 20)
    assert screen.process.poll() is None
    assert screen.settings()[6][termios.VSUSP] == b"\0"  # Ctrl-Z would hide the shell
    assert "^" not in "".join(lines)


async def test_frame_follows_the_size_of_the_terminal_at_once(screen: Screen) -> None:
    lines = await screen.shows("nothing waits")
    assert (len(lines), len(lines[0])) == (24, 80)

    screen.resize(120, 40)
    screen.process.send_signal(signal.SIGWINCH)

    await until(lambda: (len(screen.shown()), len(screen.shown()[0])) == (40, 120))


async def test_screen_follows_the_queue_and_is_never_cleared(queue: Queue) -> None:
    screen = Screen(queue.store.path, every_s=0.1)
    try:
        await screen.shows("nothing waits")
        await queue.add(NewJob(chat_id="7", prompt="Count the pelicans"))
        await screen.shows("Count the pelicans")

        assert "\x1b[2J" not in screen.sent
    finally:
        screen.close()


@pytest.mark.parametrize("form", ["text", "json"])
async def test_without_a_terminal_looks_are_printed_without_control_codes(
    queue: Queue, form: str
) -> None:
    await queue.add(a_job(title=EVIL))
    command = [sys.executable, "-c", PROGRAM, str(queue.store.path), "0.1", form]
    # what makes rich believe in a terminal elsewhere
    environ = {**os.environ, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out = "".join(lines) + process.stdout.read()
        process.wait(5)
    finally:
        process.kill()
        process.communicate()

    assert "\x1b" not in out
    assert "[red]hi" in out
    assert process.returncode == 130
    if form == "json":
        assert json.loads(lines[1])["jobs"]["pending"] == 1
