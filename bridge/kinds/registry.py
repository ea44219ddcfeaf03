"""Which kinds there are: those of the profile, the built-in ones, those of installed packages.

The first that has a name gives it its meaning: a file `profile/kinds/research.py` takes the place
of the built-in kind. A file is run as it is, so nobody but its owner may be able to write it; it is
read again when it has changed. What cannot be used is named with its reason, never half used.
"""

import importlib
import logging
import os
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from bridge import demo_job
from bridge.errors import KindRefused
from bridge.kinds.built_in import BUILT_IN, module_of
from bridge.kinds.kind import Kind
from bridge.models import KIND, short

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "kitt.kinds"  # of entry points: <name> = "package.module:KIND"
PLAIN: Final = ("other", "files")  # work of no kind in particular; old rows say files
SOURCE_BYTES_MAX: Final = 1_000_000
FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A kind that cannot be used. `reason` is a clause: "its name is x"."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    state: tuple[int, ...]  # of the file: another one means that it has changed
    kind: Kind | Broken


class Kinds:
    """The kinds of one profile. Any thread may ask."""

    def __init__(self, profile: Path) -> None:
        self._folder = profile / "kinds"
        self._loaded: dict[str, _Loaded] = {}
        self._points: dict[str, EntryPoint] | None = None
        self._lock = threading.Lock()  # a file is run once, however many jobs want it

    def find(self, name: str) -> Kind | None:
        """The kind of this name; None for a word that means nothing in particular.

        Raises: KindRefused for one that is there and cannot be used.
        """
        found = self._find(name)
        if isinstance(found, Broken):
            raise KindRefused(f"{found.source} cannot be used: {found.reason}.")
        return found

    def all(self) -> Iterator[Kind | Broken]:
        """Every kind, the built-in ones first."""
        for name in dict.fromkeys([*BUILT_IN, *self.own(), *self._of_packages()]):
            found = self._find(name)
            if found is not None:
                yield found

    def own(self) -> list[str]:
        """The names of the files of the profile."""
        return sorted(path.stem for path in self._folder.glob("*.py"))

    def usable(self, *, packages: bool = False) -> list[Kind]:
        """The kinds of the profile that can be used; a warning names each other one.

        With those of `packages` too, where what is installed may be looked through.
        """
        names = dict.fromkeys([*self.own(), *(self._of_packages() if packages else ())])
        found = [self._find(name) for name in names]
        for kind in found:
            if isinstance(kind, Broken):
                log.warning("The kind %s is left out: %s.", kind.source, kind.reason)
        return [kind for kind in found if isinstance(kind, Kind)]

    def source(self, name: str) -> str:
        """Where a kind comes from: a file, "built in", or "package"."""
        if name in self.own():
            return str(self._path(name))
        return "built in" if name in BUILT_IN else "package"

    def _find(self, name: str) -> Kind | Broken | None:
        with self._lock:
            path = self._path(name)
            if path.is_symlink() or path.exists() or not KIND.fullmatch(name):
                return self._of_file(name, path)
            if name in PLAIN:
                return None
            if name in BUILT_IN or name == demo_job.KIND:
                module = importlib.import_module(module_of(name))
                return _checked(module.KIND, name, f"the kind {name}")
            return self._of_package(name)

    def _of_file(self, name: str, path: Path) -> Kind | Broken | None:
        if not KIND.fullmatch(name):  # of a row made by hand, or a file that is none of ours
            reason = "its name must be a-z, 0-9, - and _, a letter first"
            return (
                Broken(name=name, source=str(path), reason=reason) if name in self.own() else None
            )
        try:
            fd = os.open(path, FLAGS)
        except OSError as error:
            reason = "it is a link" if path.is_symlink() else str(error.strerror)
            return Broken(name=name, source=str(path), reason=reason)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            state = (status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode)
            known = self._loaded.get(name)
            if known is None or known.state != state:
                reason = _unsafe(path, status) or _unsafe(path.parent, path.parent.stat())
                found: Kind | Broken = Broken(name=name, source=str(path), reason=reason)
                if not reason:
                    found = _run(name, path, file.read(SOURCE_BYTES_MAX))
                known = self._loaded[name] = _Loaded(state=state, kind=found)
            return known.kind

    def _of_package(self, name: str) -> Kind | Broken | None:
        point = self._of_packages().get(name)
        if point is None:
            return None
        known = self._loaded.get(f"package:{name}")
        if known is None:
            source = f"the kind {name} of the package's {point.value}"
            try:
                found = _checked(point.load(), name, source)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - about this kind only
                found = Broken(name=name, source=source, reason=_reason(error))
            known = self._loaded[f"package:{name}"] = _Loaded(state=(), kind=found)
        return known.kind

    def _of_packages(self) -> "dict[str, EntryPoint]":
        if self._points is None:
            from importlib.metadata import entry_points

            self._points = {point.name: point for point in entry_points(group=GROUP)}
        return self._points

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.py"


def _unsafe(path: Path, status: os.stat_result) -> str:
    """Why it must not be run: whoever can write it could do all that KITT can."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return "it is no file"
    if status.st_mode & 0o022:
        return f"others can write {path}: run `chmod go-w {path}`"
    if status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to someone else: change its owner"
    return ""


def _run(name: str, path: Path, source: bytes) -> Kind | Broken:
    module = ModuleType(f"kitt_kind_{name}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # types of its payload are looked up there
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - its owner's code
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, about this kind only
        return Broken(name=name, source=str(path), reason=_reason(error))
    return _checked(getattr(module, "KIND", None), name, str(path))


def _checked(kind: object, name: str, source: str) -> Kind | Broken:
    reason = ""
    if not isinstance(kind, Kind):
        reason = "it must say KIND = Kind(…)"
    elif kind.name != name:
        reason = f"its name is {kind.name}, and must be {name}"
    if reason:
        return Broken(name=name, source=source, reason=reason)
    assert isinstance(kind, Kind)
    return kind


def _reason(error: BaseException) -> str:
    """An error of a file in a few words; its last line in that file is the one to look at."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {short(error.msg, 120)}"
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    line = f", line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {short(str(error), 200).rstrip('.')}{line}"
