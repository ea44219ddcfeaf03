"""The folder of a job holds: nothing outside is ever read, written or sent, whatever the path."""

import ctypes
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.agent.tool import ToolFailed
from bridge.tools.workspace import BYTES_MAX, DEPTH_MAX, FILES_MAX, PART, Workspace

SECRET = b"a secret outside the folder"
SWAPS = 2_000  # security reference S5
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with two secrets, beside the job's folder."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("note.txt", "twice.txt"):
        (folder / name).write_bytes(SECRET)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, outside: Path) -> Workspace:
    """A job's folder with one good file and every trap an escape could use."""
    made = Workspace(tmp_path / "workspace" / "job-1")
    made.write("a/note.txt", b"inside")
    (made.root / "linked").symlink_to(outside)
    (made.root / "linked.txt").symlink_to(outside / "note.txt")
    (made.root / "proc").symlink_to("/proc")
    (made.root / "inner.txt").symlink_to("a/note.txt")
    (made.root / "hard.txt").hardlink_to(outside / "twice.txt")
    os.mkfifo(made.root / "fifo")
    return made


OUTSIDE = [
    "../outside/note.txt",
    "/etc/passwd",
    "a/../../outside/note.txt",
    "a/../a/note.txt",
    "..",
    "linked/note.txt",
    "linked/new.txt",
    "linked.txt",
    "inner.txt",
    "hard.txt",
    "fifo",
    "proc/self/environ",
    "proc/self/root/etc/passwd",
    "a/note.txt\0.png",
    "\0",
    "",
    ".",
    "a",
    "a/note.txt/more",
    "line\nbreak.txt",
    "\ud800.txt",
    "x" * 4_096,
    "x/" * 2_048 + "x",
    "é" * 128,
    f"{PART}0",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: ascii(path[:30]))
def test_a_path_that_leads_out_or_names_no_plain_file_is_refused(
    workspace: Workspace, outside: Path, path: str
) -> None:
    acts: list[Callable[[], object]] = [
        lambda: workspace.read(path, 1_000),
        lambda: workspace.size(path),
        lambda: workspace.resolve(path),
        lambda: workspace.write(path, b"forged"),
    ]

    for act in acts:
        with pytest.raises(ToolFailed) as refused:
            act()

        sentence = str(refused.value)
        assert sentence.endswith(".")
        assert len(sentence) < 250
        sentence.encode()
    assert_untouched(outside)


def assert_untouched(outside: Path) -> None:
    """The secrets are what they were and nothing stands beside them."""
    found = {file.name: file.read_bytes() for file in outside.iterdir()}
    assert found == {"note.txt": SECRET, "twice.txt": SECRET}


def test_what_was_written_is_read_back(workspace: Workspace) -> None:
    workspace.write("report.md", b"first")
    workspace.write("./report.md", b"second")

    assert workspace.read("report.md", 1_000) == b"second"
    assert workspace.read("report.md", 3) == b"sec"
    assert workspace.size("report.md") == 6
    assert workspace.resolve("a//note.txt") == workspace.root / "a" / "note.txt"


def test_a_missing_file_is_named_in_the_refusal(workspace: Workspace) -> None:
    with pytest.raises(ToolFailed, match=r"There is no file b/none\.txt"):
        workspace.read("b/none.txt", 1_000)


def test_names_and_depth_are_allowed_up_to_their_limits(workspace: Workspace) -> None:
    longest = "x" * 255
    deepest = "/".join(["d"] * DEPTH_MAX)

    workspace.write(longest, b"1")
    workspace.write(deepest, b"2")

    assert workspace.read(longest, 10) == b"1"
    assert workspace.read(deepest, 10) == b"2"


def test_folders_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "job-1"
    root.mkdir(mode=0o755)

    Workspace(root).write("a/b.txt", b"x")

    modes = [path.stat().st_mode & 0o777 for path in (root, root / "a", root / "a" / "b.txt")]
    assert modes == [0o700, 0o700, 0o600]


def test_the_list_shows_what_can_be_read_and_nothing_else(workspace: Workspace) -> None:
    workspace.write("b.txt", b"12345")
    Path(os.fsdecode(os.fsencode(workspace.root) + b"/\xff.txt")).touch()

    assert workspace.list() == [("a/note.txt", 6), ("b.txt", 5)]


def test_a_folder_that_was_never_written_to_is_empty(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "job-1")

    assert workspace.list() == []
    assert not workspace.root.exists()


def test_a_root_that_is_a_link_is_refused(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "job-1").symlink_to(outside)
    workspace = Workspace(tmp_path / "job-1")

    for act in (workspace.list, lambda: workspace.read("note.txt", 10)):
        with pytest.raises(ToolFailed):
            act()
    with pytest.raises(ToolFailed):
        workspace.write("new.txt", b"x")
    assert not (outside / "new.txt").exists()


def test_a_folder_takes_no_more_bytes_than_its_limit(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "job-1")
    workspace.write("big.bin", b"")
    os.truncate(workspace.root / "big.bin", BYTES_MAX - 10)

    workspace.write("small.txt", b"0123456789")

    with pytest.raises(ToolFailed, match="do not fit"):
        workspace.write("more.txt", b"x")
    with pytest.raises(ToolFailed, match="do not fit"):
        workspace.write("small.txt", b"0123456789+")
    workspace.write("big.bin", b"its old size does not count")


def test_a_folder_takes_no_more_files_than_its_limit(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "job-1")
    workspace.write("first.txt", b"x")
    workspace.write("second.txt", b"x")
    for number in range(FILES_MAX - 2):  # links count as files do, and are made faster
        os.link(workspace.root / "second.txt", workspace.root / str(number))

    with pytest.raises(ToolFailed, match="at most 5,000 files"):
        workspace.write("new/more.txt", b"x")

    assert not (workspace.root / "new").exists()
    workspace.write("first.txt", b"written over")


def test_a_write_that_was_killed_leaves_nothing_after_the_next_one(workspace: Workspace) -> None:
    left = workspace.root / f"{PART}0123"
    left.write_bytes(b"half")

    workspace.write("b.txt", b"x")

    assert not left.exists()
    assert ("b.txt", 1) in workspace.list()


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing(workspace: Workspace) -> None:
    workspace.write("full", b"old")

    with pytest.raises(ToolFailed), _file_size_limit(100):
        workspace.write("full", b"x" * 200)

    assert workspace.read("full", 10) == b"old"
    assert not list(workspace.root.glob(f"{PART}*"))


@pytest.mark.parametrize("part", ["a", "a/note.txt"])
def test_a_link_put_in_place_right_before_an_open_is_not_read(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    target = outside if part == "a" else outside / "note.txt"
    _swap_at_open(monkeypatch, workspace.root / part, target)

    with pytest.raises(ToolFailed):
        workspace.read("a/note.txt", 1_000)


def test_a_link_put_in_place_right_before_an_open_is_not_listed(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _swap_at_open(monkeypatch, workspace.root / "a", outside)

    assert {size for _, size in workspace.list()} <= {len(b"inside")}


def test_a_link_put_in_place_right_before_an_open_is_not_written_through(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _swap_at_open(monkeypatch, workspace.root / "a", outside)

    with pytest.raises(ToolFailed):
        workspace.write("a/new.txt", b"x")

    assert_untouched(outside)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_swapped_in_while_reading_is_never_followed(
    workspace: Workspace, outside: Path, what: str
) -> None:
    place = workspace.root / ("a/note.txt" if what == "file" else "a")
    target = outside / "note.txt" if what == "file" else outside
    seen: set[bytes] = set()
    tries = refused = 0

    with _swapping(place, target) as swaps:
        while min(tries, swaps()) < SWAPS or not (seen and refused):
            tries += 1
            try:
                seen.add(workspace.read("a/note.txt", 1_000))
                workspace.resolve("a/note.txt")
            except ToolFailed:
                refused += 1
            assert all(name != "a/note.txt" or size == 6 for name, size in workspace.list())

    assert seen == {b"inside"}


def test_a_folder_swapped_for_a_link_while_writing_lets_nothing_out(
    workspace: Workspace, outside: Path
) -> None:
    written = refused = 0

    with _swapping(workspace.root / "a", outside) as swaps:
        while swaps() < SWAPS or not (written and refused):
            try:
                workspace.write("a/new.txt", b"x")
                written += 1
            except ToolFailed:
                refused += 1

    assert_untouched(outside)


def _swap_at_open(monkeypatch: pytest.MonkeyPatch, place: Path, target: Path) -> None:
    """Put a link to `target` at `place` between any check of it and the system's open."""
    system_open = os.open

    def late_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == place.name and not place.is_symlink():
            place.rename(place.with_name("aside"))
            place.symlink_to(target)
        return system_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", late_open)


def test_a_file_is_opened_to_be_read_a_piece_at_a_time(workspace: Workspace) -> None:
    with workspace.open("a/note.txt") as file:
        assert (file.read(2), file.read()) == (b"in", b"side")


@pytest.mark.parametrize("path", ["linked.txt", "linked/note.txt", "proc/version", "../outside"])
def test_what_leads_outside_is_not_opened(workspace: Workspace, path: str) -> None:
    with pytest.raises(ToolFailed):
        workspace.open(path)


@contextmanager
def _swapping(place: Path, target: Path) -> Iterator[Callable[[], int]]:
    """Another thread that exchanges `place` and a link to `target`, all the time.

    Each exchange is one call of the system, so that it fits between any two of the reader's.
    Gives a function that says how often it was done.
    """
    link = place.with_name("link")
    link.symlink_to(target)
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = (AT_FDCWD, bytes(place), AT_FDCWD, bytes(link), RENAME_EXCHANGE)
    done = threading.Event()
    count = 0

    def swap() -> None:
        nonlocal count
        while not done.is_set():
            assert libc.renameat2(*exchange) == 0, os.strerror(ctypes.get_errno())
            count += 1

    def swaps() -> int:
        assert thread.is_alive()
        return count

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield swaps
    finally:
        done.set()
        thread.join()


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
