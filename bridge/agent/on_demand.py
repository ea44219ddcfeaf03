"""A large library whose packages gather names, with each name imported when it is first asked for.

An SDK of today is thousands of small modules, and the `__init__` of its packages imports them all,
for services that a client of one endpoint never asks. What such an `__init__` says stays true here,
only later (PEP 562; Python 3.15 has `lazy from … import` for it). Nothing is replaced or left out:
a name that no line gathers runs the `__init__` as it stands. A package that does more than give
names runs as ever; only of the library's own `__init__` the rest waits as well. Why: docs/adr/0011.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

Names = dict[str, tuple[str, str]]  # a name here → the module that has it, and its name there


def gather_on_demand(library: str) -> None:
    """From now on import the library's names one by one. What is loaded already stays as it is."""
    if not any(isinstance(finder, _Finder) and finder.of == library for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(library))


class _Finder(MetaPathFinder):
    def __init__(self, library: str) -> None:
        self.of = library

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.of and not name.startswith(f"{self.of}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.submodule_search_locations is None:
            return spec
        if isinstance(spec.loader, SourceFileLoader):
            lines = ast.parse(spec.loader.get_source(name) or "").body
            if names := _gathered(lines, and_no_more=name != self.of):
                spec.loader = _Loader(name, spec.loader.path, names)
        return spec


class _Loader(SourceFileLoader):
    """Of a package that has none of its names yet."""

    def __init__(self, name: str, path: str, names: Names) -> None:
        super().__init__(name, path)
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        def missing(name: str) -> Any:
            if name in self._names:
                origin, original = self._names[name]
                found = getattr(importlib.import_module(origin, module.__name__), original)
                setattr(module, name, found)
                return found
            if name.startswith("__") and name != "__all__":  # a look at what kind of thing it is
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return self._not_gathered(module, name)

        module.__dict__["__getattr__"] = missing

    def _not_gathered(self, module: ModuleType, name: str) -> Any:
        """A module of the package, or what its `__init__` makes itself."""
        full = f"{module.__name__}.{name}"
        if full in sys.modules or importlib.util.find_spec(full) is not None:
            return importlib.import_module(full)
        module.__dict__.pop("__getattr__", None)
        super().exec_module(module)
        return getattr(module, name)


def _gathered(lines: list[ast.stmt], *, and_no_more: bool) -> Names:
    """The names that an `__init__` imports from its package; none when it has to run as ever.

    `and_no_more`: it has to when it does anything else.
    """
    names: Names = {}
    for line in lines:
        match line:
            case ast.ImportFrom(module=str(origin), level=1, names=imported) if all(
                alias.name != "*" for alias in imported
            ):
                for alias in imported:
                    names[alias.asname or alias.name] = (f".{origin}", alias.name)
            case ast.ImportFrom(level=0) | ast.Expr(value=ast.Constant()):
                pass
            case ast.Assign(targets=[ast.Name(id=made)]) | ast.AnnAssign(target=ast.Name(id=made)):
                names.pop(made, None)
            case _ if and_no_more:
                return {}
    modules = {origin.split(".")[1] for origin, _ in names.values()}
    return {} if modules & names.keys() else names  # which of the two it is depends on the order
