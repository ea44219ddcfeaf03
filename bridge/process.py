"""What each long-running program calls first, and what it knows about itself.

The bridge and every worker begin in this order: `prepare_folders`, `die_with_parent` (only when
supervisord started them), `SlotLock`, `CrashBackoff`. From then on one slot has one living
process, however the last one ended. Nothing here needs an event loop or a library.
"""

import fcntl
import os
import re
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bridge.clock import Clock
from bridge.database_file import gate_of
from bridge.errors import AlreadyRunning, ConfigError, StoreDamaged
from bridge.settings import Settings
from bridge.store_errors import translated

SUPERVISOR_PID_FILE: Final = "supervisord.pid"  # in settings.run_dir, as supervisord.conf says

# PM2's exponential back-off: 100 ms, × 1.5, at most 15 s, forgotten after 30 s of life.
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_FACTOR: Final = 1.5
BACKOFF_MAX_S: Final = 15.0
QUICK_CRASH_S: Final = 30.0
_BACKOFF_STEPS: Final = 20  # 0.1 × 1.5^20 is far above the maximum and far below overflow

START_CHECK_S: Final = 1.0  # startsecs in supervisord.conf
_LOCK_POLL_S: Final = 0.1

# SQLite's WAL needs memory shared by all its processes, which these do not give (sqlite.org/wal):
# networks, clusters, and folders that a virtual machine has from its host.
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "lustre"}
    | {"glusterfs", "davfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse"}
    | {"fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "fuse.curlftpfs"}
    | {"beegfs", "gpfs", "orangefs", "9p", "virtiofs", "vboxsf"}
    | {"fuse.vmhgfs-fuse", "fuse.grpcfuse", "fuse.osxfs"}
)

_PR_SET_PDEATHSIG: Final = 1


def prepare_folders(settings: Settings) -> None:
    """Make the profile and its folders, readable by their owner alone, whatever the umask was.

    From here on everything this process and its children create is private (umask 077). A
    profile that exists keeps its own mode; `memory` and what is in it become 0700.

    Raises: ConfigError when a folder cannot be made or written, is a file, or lies on a network
    file system, where SQLite's WAL damages the database; StoreDamaged for an emptied one.
    """
    make_folders(settings)
    if emptied(settings):
        with gate_of(settings.database):  # one that is being made now is empty too, for a moment
            sentence = emptied(settings)
        if sentence:
            raise StoreDamaged(sentence)


def make_folders(settings: Settings) -> None:
    """`prepare_folders`, whatever the database is."""
    os.umask(0o077)
    kind = network_file_system(settings.memory)
    if kind:
        raise ConfigError(
            f"{settings.memory} lies on a network file system ({kind}), where the database would "
            "be damaged: set KITT_PROFILE to a folder on a local disk."
        )
    _make_folder(settings.profile)
    inside = (settings.run_dir, settings.log_dir, settings.jobs_dir, settings.files_dir)
    for folder in (settings.memory, *inside):
        _make_folder(folder)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            with suppress(PermissionError):  # of another owner, who lets us write: theirs to set
                folder.chmod(0o700)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"{folder} must be a folder, and a file is in its place: "
            "set KITT_PROFILE to a folder, or move the file."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made ({error.strerror}): "
            "set KITT_PROFILE to a folder you may write."
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"The folder {folder} cannot be written: "
            "change its owner or mode, or set KITT_PROFILE to another folder."
        )


def emptied(settings: Settings) -> str:
    """What to say of a database that is an empty file where there once was a used one; else ""."""
    database = settings.database
    with translated(database):
        if not database.is_file() or database.stat().st_size:
            return ""
        log = database.with_name(f"{database.name}-wal")
        traces = [*settings.jobs_dir.glob("*"), *database.parent.glob(f"{database.name}.before-*")]
        if not traces and not (log.exists() and log.stat().st_size):
            return ""  # left by a first start that was killed
    return (
        f"{database} is empty and was in use before: put back a copy of it (`kitt restore`), or "
        "remove it to start anew."
    )


def need_database(settings: Settings) -> None:
    """For who only looks: nothing is made. Raises: ConfigError when there is no database."""
    with translated(settings.database):
        there = settings.database.is_file() and settings.database.stat().st_size > 0
    if not there:
        raise ConfigError(
            emptied(settings)
            or f"There is no database at {settings.database}: set KITT_PROFILE to the profile that "
            "has one, or make it with `kitt setup`."
        )


def network_file_system(folder: Path, *, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the network file system `folder` lies on, or None (also where nobody knows)."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    target = folder.resolve()
    best, found = -1, ""
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1]))
        # A later mount on the same point hides the earlier one, hence >=.
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), fields[2]
    return found if found in NETWORK_FILE_SYSTEMS else None


def die_with_parent(settings: Settings) -> None:
    """End when supervisord ends, however that happens: the kernel then sends SIGTERM.

    Without it a SIGKILL of supervisord leaves every program running, and the next supervisord
    starts a second set beside them. A supervisord that died before this call is found by its pid
    file, and the missed signal is sent here. Harmless where there is no prctl. Call it in the main
    thread, only under supervisord, before anything else is started.
    """
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        return
    # Not `getppid() == 1`: in a container supervisord itself is process 1.
    try:
        supervisor = int((settings.run_dir / SUPERVISOR_PID_FILE).read_text())
    except (OSError, ValueError):
        return
    if os.getppid() != supervisor:
        os.kill(os.getpid(), signal.SIGTERM)


def outlast_start_check() -> None:
    """Stay long enough to be counted as started; call it under supervisord before exiting 78.

    supervisord looks at an exit code only after `startsecs`; before that every end is a failed
    start that it repeats ten times. Source: Subprocess.finish in supervisor 4.3.
    """
    age = age_seconds(os.getpid()) or 0.0
    time.sleep(max(0.0, START_CHECK_S + 0.1 - age))


class SlotLock:
    """A slot (the bridge, worker N, the supervisor) held for life by one process.

    `flock` ends with the process, even by SIGKILL, so getting it is proof that the predecessor is
    dead. A stopped process (SIGSTOP) keeps it. The file itself is never removed: a lock on a
    removed file would let two processes in.
    """

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        """`wait_s`: how long a predecessor that is still draining is waited for."""
        self._path = path
        self._wait_s = wait_s
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the slot.

        Raises: AlreadyRunning, with the pid of the holder, when it is held for all of `wait_s`.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up_at = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < give_up_at:
                    time.sleep(_LOCK_POLL_S)
                    continue
                holder = os.pread(fd, 20, 0).decode(errors="replace").strip() or "unknown"
                os.close(fd)
                raise AlreadyRunning(
                    f"{self._path.stem} is already running (pid {holder}): "
                    "stop it with `kitt down`, or wait."
                ) from None
        self._fd = fd
        self.record(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        # Closing and not LOCK_UN: a child that got the descriptor keeps the slot.
        os.close(self._fd)
        self._fd = -1

    def fileno(self) -> int:
        """The descriptor that holds the lock, for handing the slot to a child or over an exec."""
        return self._fd

    def record(self, pid: int) -> None:
        """Name the holder, for the sentence a second one gets."""
        with suppress(OSError):  # a full disk costs only the number in that sentence
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{pid}\n".encode(), 0)


class CrashBackoff:
    """Counts quick crashes in a row over restarts and says how long to wait before going on.

    supervisord restarts a program that lived for a second at once, for ever; one that did not,
    after 1, 2, 3 … s, and then gives up. So the pause is ours: 0.1 s × 1.5^n, at most 15 s. The
    count starts again after a clean end, after a start that lived 30 s, and after a reboot.

    `path` belongs to the slot whose lock the caller holds. Await `clock.sleep(backoff.pause_s)`
    inside the `with` block, before anything that can crash.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.pause_s = 0.0

    def __enter__(self) -> Self:
        now = self._clock.monotonic()
        crashes, started = self._last()
        crashes = crashes + 1 if now - started < QUICK_CRASH_S else 0
        if crashes:
            steps = min(crashes - 1, _BACKOFF_STEPS)
            self.pause_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * BACKOFF_FACTOR**steps)
        # A full disk must not keep a program from starting; it only loses the count.
        with suppress(OSError):
            line = f"{crashes} {now + self.pause_s:.3f} {self._clock.boot_id}\n"
            self._path.write_text(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        clean_exit = isinstance(error, SystemExit) and not error.code
        if kind is None or kind is KeyboardInterrupt or clean_exit:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _last(self) -> tuple[int, float]:
        """Crashes in a row before the last start, and its monotonic moment; never if clean."""
        try:
            crashes, started, boot_id = self._path.read_text().split()
            if boot_id == self._clock.boot_id:
                return int(crashes), float(started)
        except (OSError, ValueError):
            pass
        return 0, float("-inf")


def rss_mb() -> float | None:
    """Resident memory of this process in MB, or None where /proc does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def pss_mb(pid: int) -> float | None:
    """Memory of a process in MB with shared pages split between their users, or None."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    except (OSError, ValueError):
        pass
    return None


def cpu_seconds(pid: int) -> float | None:
    """Processor time a process has used, user and system, or None when it is gone."""
    user, system = _stat_seconds(pid, 14), _stat_seconds(pid, 15)
    return None if user is None or system is None else user + system


def age_seconds(pid: int) -> float | None:
    """How long a process has been running, or None when it is gone. No clock change moves it."""
    started = _stat_seconds(pid, 22)
    if started is None:
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def _stat_seconds(pid: int, field: int) -> float | None:
    """A field of /proc/PID/stat that counts clock ticks; numbered as in proc(5)."""
    try:
        # The second field, the name, may hold spaces and brackets; the third follows its last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[field - 3]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
