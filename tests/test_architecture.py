"""The rules of the house, read from the source: who may import whom, and what lives in one place.

A broken rule fails with its sentence and the places that break it.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
MODULE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 70

# A part is a module or a folder of bridge/; `*` ends a name that stands for several modules.
RINGS: Final[dict[str, int]] = {
    **dict.fromkeys(
        ("__init__", "errors", "models", "settings", "setting_values", "clock", "timing"), 0
    ),
    "failpoints": 0,
    **dict.fromkeys(
        (
            "wake",
            "statements",
            "store",
            "deliveries",
            "conversation",
            "received",
            "shown",
            "record",
            "line",
        ),
        1,
    ),
    **dict.fromkeys(("leases", "queue"), 1),
    **dict.fromkeys(
        (
            "people",
            "access",
            "groups",
            "revoked",
            "log_tail",
            "profile",
            "logs",
            "breaker",
            "alerts",
            "schedules",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            "proposals",
            "preferences",
            "prices",
            "usage",
            "budgets",
            "memory",
            "personas",
            "demo_job",
        ),
        1,
    ),
    **dict.fromkeys(("kinds", "results", "joining"), 1),
    **dict.fromkeys(("alert_box", "migrate", "store_errors", "database_file", "retention"), 1),
    **dict.fromkeys(
        ("contents", "office", "transcribe", "addresses", "outgoing", "browser_proxy"), 1
    ),
    **dict.fromkeys(("owners_files", "apis"), 1),
    "sandbox": 1,
    "mcp": 1,
    **dict.fromkeys(("agent", "tools", "attempt", "work"), 2),
    **dict.fromkeys(("telegram", "worker", "scheduler", "web", "keeper"), 3),
    **dict.fromkeys(("cli*", "programs", "setup", "env_file", "doctor*", "__main__"), 4),
    **dict.fromkeys(("process", "supervision*", "listener", "monitor*"), 4),
    **dict.fromkeys(("troubles", "watchdog", "startup", "backup", "archive"), 4),
    **dict.fromkeys(("emulator", "prove"), 5),
}
PEERS: Final = ("telegram", "worker", "scheduler", "web")  # never import each other
FOR_RING_3_TOO: Final = ("process", "supervision*")
# Whole folders end in a slash. Each exception has its reason.
MAY_TOUCH_ENVIRONMENT: Final = {
    "settings.py": "reads it",
    "supervision.py": "hands it on to the processes it starts",
    "cli.py": "hands it to the first set-up, which shows what is set already",
    "telegram/api.py": "sets the one switch of its library that is nothing else",
    "sandbox/trial.py": "looks, inside a sandbox, that nothing of it is there",
    "emulator/": "starts the demo's processes with an environment of its own",
}
MAY_READ_THE_TIME: Final = {
    "clock.py": "is the clock",
    "process.py": "waits for other processes",
    "supervision": "waits for other processes",
    "listener.py": "runs inside supervisord",
    "emulator/": "is an outside service",
    "prove/": "disturbs the programs from outside",
}
MAY_HOLD_SQL: Final = {
    "store.py": "runs the statements",
    "database_file.py": "sets up every connection",
    "migrate.py": "asks what version a file has, copies it, changes it",
    "backup.py": "looks at a file that is not the database of this process",
    "doctor.py": "looks at a file that may be too damaged for the store to open",
    "emulator/": "shows what a person types into the sqlite3 shell",
    "prove/": "judges the rows without the statements that wrote them",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement; `name` is dotted and absolute."""

    name: str
    line: int
    lazy: bool  # inside a function, or only for the type checker


@dataclass(frozen=True)
class Source:
    """One module of bridge/."""

    path: Path
    tree: ast.Module

    @property
    def place(self) -> str:
        """As a reader finds it, without `bridge/`."""
        return self.path.relative_to(ROOT / "bridge").as_posix()

    @property
    def part(self) -> str:
        """The part of RINGS this module belongs to."""
        return part_of(self.place.removesuffix(".py").partition("/")[0])

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import, with `from bridge import x` as `bridge.x`."""
        return tuple(_imports(self.tree, lazy=False, package=self.path.parent))


def _imports(node: ast.AST, *, lazy: bool, package: Path) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                folder = package if child.level == 1 else package.parents[child.level - 2]
                base = ".".join((*folder.relative_to(ROOT).parts, *base.split("."))).strip(".")
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, lazy)
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(child, lazy=lazy or later or typing_only, package=package)


def part_of(name: str) -> str:
    """`cli_queue` belongs to the part `cli*`."""
    for part in RINGS:
        if name == part or (part.endswith("*") and name.startswith(part[:-1])):
            return part
    return name


@cache
def sources() -> tuple[Source, ...]:
    """Every module of bridge/, parsed once."""
    paths = sorted((ROOT / "bridge").rglob("*.py"))
    return tuple(Source(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def breaks(rule: str, places: list[str]) -> str:
    """The sentence of a broken rule, with every place."""
    return "\n".join([rule, *(f"  bridge/{place}" for place in places)])


def imports_of(library: str) -> list[tuple[Source, Import]]:
    """Who imports a library, and where."""
    return [
        (source, found)
        for source in sources()
        for found in source.imports
        if found.name.partition(".")[0] == library
    ]


def ours(found: Import) -> str | None:
    """The part of bridge that is imported, or None."""
    top, _, rest = found.name.partition(".")
    if top != "bridge":
        return None
    name = rest.partition(".")[0]
    is_module = any((ROOT / "bridge" / end).exists() for end in (f"{name}.py", name))
    return part_of(name) if is_module else "__init__"


def allowed(place: str, exceptions: dict[str, str]) -> bool:
    """Is this module one of the exceptions?"""
    return place.startswith(tuple(exceptions))


def test_every_module_has_a_ring() -> None:
    rule = "Every part of bridge/ stands in RINGS, so that its imports are judged."

    homeless = [source.place for source in sources() if source.part not in RINGS]

    assert not homeless, breaks(rule, homeless)


def test_imports_go_inward_only() -> None:
    rule = (
        "Imports go inward only: errors, models, settings, clock <- store, queue, conversation <- "
        "agent, tools <- telegram, worker, scheduler, web <- cli."
    )

    outward = [
        f"{source.place}:{found.line} imports {found.name}"
        for source in sources()
        for found in source.imports
        if (part := ours(found)) is not None
        and RINGS[part] > RINGS[source.part]
        and not (RINGS[source.part] == 3 and part in FOR_RING_3_TOO)
        and not (source.part == "cli*" and part in ("emulator", "prove"))
    ]

    assert not outward, breaks(rule, outward)


def test_parts_do_not_import_each_other_in_circles() -> None:
    rule = "No part imports another that imports it, not even by a detour."
    graph: dict[str, set[str]] = {source.part: set() for source in sources()}
    for source in sources():
        graph[source.part] |= {part for found in source.imports if (part := ours(found))}
        graph[source.part].discard(source.part)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [*graph[start]]
        while ahead:
            part = ahead.pop()
            if part not in seen:
                seen.add(part)
                ahead += graph[part]
        return seen

    circles = [part for part in graph if part in reached(part)]

    assert not circles, breaks(rule, circles)


def test_telegram_worker_scheduler_and_web_never_import_each_other() -> None:
    rule = "telegram, worker, scheduler and web never import each other: the database is between."

    crossing = [
        f"{source.place}:{found.line} imports {found.name}"
        for source in sources()
        for found in source.imports
        if source.part in PEERS and ours(found) in PEERS and ours(found) != source.part
    ]

    assert not crossing, breaks(rule, crossing)


def test_emulator_and_proof_are_imported_only_by_the_command_line_and_lazily() -> None:
    rule = "The emulators are for demo, proof and tests: only cli imports them, when it is asked."

    wrong = [
        f"{source.place}:{found.line} imports {found.name}"
        for source in sources()
        for found in source.imports
        if ours(found) in ("emulator", "prove")
        and source.part not in ("emulator", "prove")
        and not (source.part == "cli*" and found.lazy)
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_its_adapter_imports_openai() -> None:
    rule = "Only bridge/agent/openai_model.py imports openai, and lazily."

    wrong = [
        f"{source.place}:{found.line}"
        for source, found in imports_of("openai")
        if source.place != "agent/openai_model.py" or not found.lazy
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_the_model_module_imports_anthropic() -> None:
    rule = "Only bridge/agent/model.py imports anthropic."

    wrong = [
        f"{source.place}:{found.line}"
        for source, found in imports_of("anthropic")
        if source.place != "agent/model.py" and source.part != "emulator"
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_the_telegram_folder_imports_telegram() -> None:
    rule = "Only bridge/telegram/ imports telegram; setup and doctor may when they are asked."

    wrong = [
        f"{source.place}:{found.line}"
        for source, found in imports_of("telegram")
        if source.part not in ("telegram", "emulator")
        and not (source.part in ("setup", "doctor") and found.lazy)
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_the_store_imports_the_database_driver() -> None:
    rule = "Only bridge/store.py imports aiosqlite: everybody else gets a transaction."

    wrong = [f"{s.place}:{i.line}" for s, i in imports_of("aiosqlite") if s.place != "store.py"]

    assert not wrong, breaks(rule, wrong)


def test_only_the_emulators_and_the_web_need_the_http_server() -> None:
    rule = "aiohttp comes with an extra: only bridge/emulator/ and bridge/web/ import it."

    wrong = [
        f"{source.place}:{found.line}"
        for source, found in imports_of("aiohttp")
        if source.part not in ("emulator", "web")
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_settings_reads_the_environment() -> None:
    rule = "Only bridge/settings.py reads the environment."
    names = {"environ", "environb", "getenv", "putenv", "unsetenv"}
    ours = {f"os.{name}" for name in names}

    wrong = [
        f"{source.place}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node) in ours)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and names & {alias.name for alias in node.names}
        )
        if not allowed(source.place, MAY_TOUCH_ENVIRONMENT)
    ]

    assert not wrong, breaks(rule, wrong)


def test_only_the_clock_reads_the_time() -> None:
    rule = "Time comes from bridge/clock.py, so that tests can move it."
    calls = re.compile(
        r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.(time|monotonic)(_ns)?"
    )
    names = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns"}

    wrong = [
        f"{source.place}:{node.lineno} {ast.unparse(node)}"
        for source in sources()
        for node in ast.walk(source.tree)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in names
            and calls.fullmatch(ast.unparse(node))
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and {"time", "monotonic"} & {alias.name for alias in node.names}
        )
        if not allowed(source.place, MAY_READ_THE_TIME)
    ]

    assert not wrong, breaks(rule, wrong)


def test_sql_lives_in_its_folder() -> None:
    rule = "Statements live in bridge/sql/ by name; only bridge/store.py holds SQL of its own."
    statement = re.compile(
        r"\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|"
        r"REPLACE\s+INTO\s|WITH\s+\w+\s+AS\s|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|TRIGGER|VIEW)\s|"
        r"PRAGMA\s|VACUUM|BEGIN(\s+(IMMEDIATE|EXCLUSIVE))?$|COMMIT$|ROLLBACK$)"
    )

    wrong = [
        f"{source.place}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and statement.match(node.value)
        if not allowed(source.place, MAY_HOLD_SQL)
    ]

    assert not wrong, breaks(rule, wrong)


def test_modules_fit_on_a_few_screens() -> None:
    rule = f"A module has at most {MODULE_LINES_MAX} lines."

    long = [
        f"{source.place}: {lines}"
        for source in sources()
        if (lines := len(source.path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    ]

    assert not long, breaks(rule, long)


def test_functions_fit_on_one_screen() -> None:
    rule = f"A function has at most {FUNCTION_LINES_MAX} lines."

    long = [
        f"{source.place}:{node.lineno} {node.name}: {lines}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not long, breaks(rule, long)


def test_nothing_at_the_root_hides_a_module_of_the_standard_library() -> None:
    rule = "A module at the root hides the standard library's for whoever runs from there."

    modules = {path.stem for path in ROOT.glob("*.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert not (modules | packages) & sys.stdlib_module_names, rule


def test_profile_is_data_only() -> None:
    rule = "profile/ is data: as a package it would hide the standard library's profile."
    own = (ROOT / "profile" / "kinds").glob("*.py")  # a person's own kinds of jobs

    found = {*(ROOT / "profile").rglob("*.py")} - {path for path in own if path.stem != "__init__"}

    assert not found, rule


def test_folders_of_tests_are_no_packages() -> None:
    rule = "tests/telegram as a package would hide the library of that name."

    assert not list((ROOT / "tests").rglob("__init__.py")), rule


@pytest.mark.parametrize(
    "module", ["cli", "cli_queue", "worker", "queue", "setup", "doctor", "supervision", "monitor"]
)
def test_heavy_libraries_are_not_loaded_by_importing(module: str) -> None:
    assert (ROOT / "bridge" / f"{module}.py").exists()
    heavy = {"anthropic", "telegram", "httpx", "aiohttp", "rich", "pydantic"}
    program = f"import sys, bridge.{module}\nprint(*sorted({heavy} & sys.modules.keys()))"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [], f"import bridge.{module} loads {done.stdout}"


@pytest.mark.parametrize("program", ["bridge", "worker"])
def test_a_program_that_stays_loads_no_other_command(program: str) -> None:
    code = (
        "import sys\nfrom bridge.cli import main\n"
        f"try: main([{program!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('bridge.cli_')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "bridge.cli_words"
