"""The walls around foreign code: what it sees, what it may use, how it is closed in.

bubblewrap gives it namespaces of its own: no network, no home, nothing of KITT, a system that can
only be read, and one folder that is its work. Limits of the kernel hold each of its processes.

The kernel counts no processes of root. So where KITT runs as root, bubblewrap is used twice: the
outer one, still root, binds the same folders (an ordinary user may not be able to reach them) and
becomes an ordinary user; the inner one is what any other user has. In both cases the number of
processes is counted in the sandbox's own user namespace, so that limits of one touch no other.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("bwrap", "prlimit", "choom", "setpriv")
SEARCHED: Final = "/usr/bin:/bin:/usr/sbin:/sbin"
NOBODY: Final = 65534  # who the code is, inside; who root becomes, outside
WORK: Final = "/work"
SITES: Final = ("/opt/site/1", "/opt/site/2")  # Python's packages: the real place may be a home
BIN: Final = "/opt/bin"
# What a program needs to find its way in the network and to know who is there.
NETWORK_FILES: Final = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"),
    *("/etc/ssl/certs", "/etc/ca-certificates", "/etc/pki/tls/certs"),
)
ENVIRONMENT: Final = {
    "PATH": f"{BIN}:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside it is the sandbox's own
    "LANG": "C.UTF-8",
    "PYTHONPATH": ":".join((WORK, *SITES)),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",  # what was printed before a limit ended it is seen
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
    "OPENBLAS_NUM_THREADS": "1",  # each thread reserves memory, which the limit counts
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use."""

    memory_mb: int = 1_000  # of one process, as addresses
    memory_all_mb: int = 1_500  # of all together, as pages
    cpu_s: int = 60  # of one process
    wall_s: float = 120.0
    file_mb: int = 50
    folder_mb: int = 500
    folder_entries: int = 6_000
    processes: int = 64
    open_files: int = 256
    printed_mb: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """How a sandbox is made on this machine, as this user."""

    programs: dict[str, str]
    as_root: bool
    python: Path
    binds: tuple[tuple[Path, str], ...]  # read-only: from where, seen where
    links: tuple[tuple[str, str], ...]  # what it points to, its place
    hidden: tuple[str, ...] = ()  # folders inside the binds that are seen empty
    network: bool = False  # that of the machine

    @property
    def owner(self) -> int | None:
        """Whose the folder must be, when that is not who we are."""
        return NOBODY if self.as_root else None

    def opened(self, *, network: bool, shown: Sequence[Path]) -> "Walls":
        """The same walls, through which this can be seen too, read-only, and the network used."""
        more = [(path.resolve(), str(path)) for path in shown]
        if network:
            files = [Path(name) for name in NETWORK_FILES]
            more += [(path.resolve(), str(path)) for path in files if path.exists()]
        known = list(self.binds)
        binds = (*known, *(bind for bind in more if not _is_seen(bind[0], known)))
        return replace(self, binds=binds, network=network)

    def showing(self, folders: Mapping[str, Path]) -> "Walls":
        """The same walls, with these folders in these places, read-only."""
        binds = [(folder, place) for place, folder in folders.items()]
        return replace(self, binds=(*self.binds, *binds))

    def command(self, folder: Path | None, limits: Limits, filters: tuple[int, ...]) -> list[str]:
        """The words before the program that is to run in this folder, or in none of ours.

        `filters` are the descriptors it inherits of filters for its calls of the kernel.
        """
        seccomp = [word for number in filters for word in ("--seccomp", str(number))]
        closed = [self.programs["bwrap"], *seccomp, *self._closed(folder)]
        inner = [*closed, "--", *self._limited(limits), "--"]
        if self.as_root:
            inner = [*self._as_ordinary_user(folder), *inner]
        return [self.programs["choom"], "-n", "1000", "--", *inner]

    def _closed(self, folder: Path | None) -> Iterator[str]:
        yield from ("--unshare-all", *(["--share-net"] if self.network else []))
        yield from ("--unshare-user", "--disable-userns", "--die-with-parent")
        # Who is no root has no capabilities inside (trial.py looks): nothing is to be dropped.
        yield from ("--new-session", "--clearenv")
        yield from ("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox")
        for name, value in ENVIRONMENT.items():
            yield from ("--setenv", name, value)
        yield from ("--proc", "/proc", "--dev", "/dev")
        yield from ("--size", "64000000", "--tmpfs", "/dev/shm")  # noqa: S108
        yield from ("--size", "128000000", "--tmpfs", "/tmp")  # noqa: S108
        for source, place in self.binds:
            yield from ("--ro-bind", str(source), place)
        for target, place in self.links:
            yield from ("--symlink", target, place)
        for place in self.hidden:
            yield from ("--tmpfs", place, "--remount-ro", place)
        if folder is not None:
            yield from ("--bind", str(folder), WORK, "--chdir", WORK)
        # Whatever is not said may be written otherwise: the root is a disk in memory.
        yield from ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")

    def _limited(self, limits: Limits) -> Iterator[str]:
        yield self.programs["prlimit"]
        yield f"--as={limits.memory_mb * 1_000_000}"
        yield f"--cpu={limits.cpu_s}"
        yield f"--fsize={limits.file_mb * 1_000_000}"
        yield f"--nproc={limits.processes}"
        yield f"--nofile={limits.open_files}"
        yield "--core=0"

    def _as_ordinary_user(self, folder: Path | None) -> Iterator[str]:
        """Root's outer sandbox: the same folders, each in its own place, and then not root."""
        yield from (self.programs["bwrap"], "--die-with-parent", "--clearenv")
        # Its init ends with us, and all in it with that. The wish of each process to end with its
        # parent does not do: becoming another user makes the kernel forget it.
        yield from ("--unshare-pid", "--unshare-ipc")
        yield from () if self.network else ("--unshare-net",)
        yield from ("--dir", "/tmp")  # noqa: S108 - where the inner one puts its root together
        sources, own = [source for source, _ in self.binds], [folder] if folder else []
        for parent in sorted({above for path in (*sources, *own) for above in path.parents}):
            yield from ("--dir", str(parent))  # bubblewrap itself makes some only for root
        for source in sources:
            yield from ("--ro-bind", str(source), str(source))
        for target, place in self.links:
            yield from ("--symlink", target, place)
        # The inner one may mount its own /proc only where a whole one is seen.
        yield from ("--bind", "/proc", "/proc", "--dev", "/dev")
        for path in own:
            yield from ("--bind", str(path), str(path))
        yield from ("--", self.programs["setpriv"])
        yield from (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
        yield "--"


def walls_here(searched: str) -> tuple[Walls | None, str]:
    """What this machine has, or None and a sentence about what is missing."""
    programs = {name: shutil.which(name, path=searched) or "" for name in PROGRAMS}
    if not programs["bwrap"]:
        return None, "bubblewrap is not installed: install it (Debian: `apt install bubblewrap`)."
    missing = [name for name, path in programs.items() if not path]
    if missing:
        return None, f"There is no {missing[0]}: install util-linux."
    python = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not python.exists():
        return None, f"There is no {python}, the Python that code would run with."
    binds, links = [*_system()], [*_system_links()]
    base = Path(sys.base_prefix).resolve()
    if not _is_seen(base, binds):
        binds.append((base, str(base)))
    binds += zip(_packages(), SITES, strict=False)
    links += [(str(python), f"{BIN}/{name}") for name in ("python", "python3")]
    ours = Path(__file__).parent.parent.resolve()
    hidden = [
        str(Path(place) / ours.relative_to(source))
        for source, place in binds
        if ours.is_relative_to(source)
    ]
    return (
        Walls(
            programs=programs,
            as_root=os.geteuid() == 0,
            python=python,
            binds=tuple(binds),
            links=tuple(links),
            hidden=tuple(hidden),
        ),
        "",
    )


def shows(walls: Walls, path: Path) -> bool:
    """Could the code see this path, which is private?"""
    return _is_seen(path.resolve(), list(walls.binds))


def _system() -> Iterator[tuple[Path, str]]:
    yield Path("/usr"), "/usr"
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        folder = Path("/", name)
        if folder.is_dir() and not folder.is_symlink():
            yield folder, str(folder)
    for name in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/fonts"):
        if Path(name).exists():
            yield Path(name), name


def _system_links() -> Iterator[tuple[str, str]]:
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        folder = Path("/", name)
        if folder.is_symlink():
            yield str(folder.readlink()), str(folder)


def _packages() -> list[Path]:
    """Where the packages of KITT's own Python lie; never the folder around them."""
    paths = sysconfig.get_paths()
    found = [Path(paths[key]).resolve() for key in ("purelib", "platlib")]
    return [path for path in dict.fromkeys(found) if path.is_dir()]


def _is_seen(path: Path, binds: list[tuple[Path, str]]) -> bool:
    return any(path.is_relative_to(source) for source, _ in binds)
