"""Libraries whose names are imported when they are asked for: the same names, only later."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from bridge.agent.on_demand import gather_on_demand

number = count(1)
FILES = {
    "__init__.py": """
'''A library.'''
from __future__ import annotations
from ._bird import Bird, CALL as SOUND
from . import nests
from .water import *
SIZE = 3
""",
    "_bird.py": "class Bird: ...\nCALL = 'krah'\n",
    "nests/__init__.py": """
from typing import TypeAlias
from ._twig import Twig
from ._mud import Mud
__all__ = ['Twig', 'Stick', 'Mud']
Stick: TypeAlias = Twig
Mud = Mud.upper()
""",
    "nests/_twig.py": "class Twig: ...\n",
    "nests/_mud.py": "Mud = 'wet'\n",
    "water.py": "DEPTH = 7\n",
    "loud/__init__.py": "from .horn import Horn\nHorn.heard = True\n",
    "loud/horn.py": "class Horn: ...\n",
    "open/__init__.py": "from .loft import HEIGHT\nfrom .hall import *\n",
    "open/loft.py": "HEIGHT = 2\n",
    "open/hall.py": "HEIGHT = 9\n",
    "named/__init__.py": "from .egg import egg\n",
    "named/egg.py": "def egg(): ...\n",
    "late.py": "HOUR = 23\n",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    name = f"birds_{next(number)}"
    for path, text in FILES.items():
        file = tmp_path / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.meta_path)
    gather_on_demand(name)
    yield importlib.import_module(name)
    sys.meta_path[:] = before
    for module in loaded(name):
        del sys.modules[module]


def loaded(name: str) -> set[str]:
    """The library's modules that are there."""
    return {module for module in sys.modules if module.split(".")[0] == name}


def test_importing_it_loads_nothing_else(library: ModuleType) -> None:
    assert loaded(library.__name__) == {library.__name__}


def test_a_name_loads_the_module_that_has_it_and_no_other(library: ModuleType) -> None:
    name = library.__name__

    assert library.Bird().__class__.__name__ == "Bird"
    assert library.SOUND == "krah"
    assert loaded(name) == {name, f"{name}._bird"}
    assert "Bird" in vars(library)  # not asked again


def test_a_package_in_it_is_put_off_as_well(library: ModuleType) -> None:
    name = library.__name__

    assert library.nests.Twig.__name__ == "Twig"

    assert loaded(name) == {name, f"{name}.nests", f"{name}.nests._twig"}


def test_a_name_that_no_line_gathers_runs_the_init_as_it_stands(library: ModuleType) -> None:
    assert library.SIZE == 3
    assert library.DEPTH == 7
    assert {"Bird", "SOUND", "nests", "SIZE", "DEPTH"} <= vars(library).keys()


def test_a_star_brings_what_it_brings_otherwise(library: ModuleType) -> None:
    names: dict[str, object] = {}

    exec(f"from {library.__name__}.nests import *", names)

    assert "Twig" in names
    assert "TypeAlias" not in names


def test_a_name_that_the_init_makes_of_another_is_what_it_makes(library: ModuleType) -> None:
    assert library.nests.Mud == "WET"
    assert library.nests.Stick is library.nests.Twig


def test_a_name_that_does_not_exist_is_missing(library: ModuleType) -> None:
    with pytest.raises(AttributeError, match="penguin"):
        _ = library.penguin
    with pytest.raises(ImportError, match="penguin"):
        exec(f"from {library.__name__}.nests import penguin")


def test_a_module_that_is_named_needs_no_other(library: ModuleType) -> None:
    name = library.__name__

    names: dict[str, object] = {}
    exec(f"from {name} import late", names)

    assert names["late"] is sys.modules[f"{name}.late"]
    assert loaded(name) == {name, f"{name}.late"}


def test_a_package_that_does_more_than_gather_runs_as_ever(library: ModuleType) -> None:
    importlib.import_module(f"{library.__name__}.loud")

    assert sys.modules[f"{library.__name__}.loud.horn"].Horn.heard


def test_a_name_that_a_star_may_bring_is_the_last_one(library: ModuleType) -> None:
    assert importlib.import_module(f"{library.__name__}.open").HEIGHT == 9


def test_a_name_that_is_also_its_modules_is_what_it_is_otherwise(library: ModuleType) -> None:
    importlib.import_module(f"{library.__name__}.named.egg")

    assert callable(library.named.egg)


@pytest.mark.parametrize(
    ("sdk", "packages"),
    [
        ("anthropic", ("types", "types.beta", "types.shared", "resources", "lib.credentials")),
        ("openai", ("types", "types.responses", "resources")),
    ],
)
def test_an_sdk_has_the_names_that_it_has_otherwise(sdk: str, packages: tuple[str, ...]) -> None:
    program = f"""
import importlib, sys
if sys.argv[1] == "later":
    from bridge.agent.on_demand import gather_on_demand
    gather_on_demand("{sdk}")
import {sdk}
for name in {packages}:
    package = importlib.import_module("{sdk}." + name)
    exec(f"from {{package.__name__}} import *", found := {{}})
    things = {{k: v for k, v in found.items() if not isinstance(v, type(sys))}}
    print(name, *sorted(f"{{k}}:{{getattr(v, '__qualname__', '')}}" for k, v in things.items()))
print(*sorted({sdk}.__all__), all(hasattr({sdk}, name) for name in {sdk}.__all__))
"""
    told = {
        when: subprocess.run(
            [sys.executable, "-c", program, when], capture_output=True, text=True, check=True
        ).stdout
        for when in ("at once", "later")
    }

    assert told["later"] == told["at once"]
    assert len(told["later"]) > 10_000
