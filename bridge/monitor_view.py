"""The look of `kitt queue monitor`: a summary as lines of exactly so many columns.

What a chat has written is shown as plain text: no markup, and no character that could move the
cursor, turn the direction of a line or be measured wrongly. Only the terminal's own colours are
used, and none for ordinary text, so it can be read on dark and on light.

Every row is one line, so tables are cut and joined here: rich's own cost ten times as much (16 ms a
frame), which is more than a monitor may take.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.segment import Segment

WIDE: Final = 120  # columns; from here on sections stand in two columns
NARROW: Final = 70  # below, nothing stands beside anything
GAP: Final = 2  # columns between two of a table
BAR_CELLS: Final = 10
WARNINGS_MAX: Final = 3  # of lines; --json has all of them
STYLES: Final = {
    "busy": "green",
    "running": "green",
    "done": "green",
    "waiting": "magenta",
    "draining": "yellow",
    "warning": "yellow",
    "error": "red",
    "failed": "bold red",
    "dead": "bold red",
}
Look = dict[str, Any]
Span = tuple[str, str]  # a text and its style
Line = list[Span]
Cell = str | Span | Line


@dataclass(frozen=True, slots=True)
class _Column:
    """`width` 0: an equal part of what the others leave."""

    name: str
    width: int = 0
    right: bool = False


@dataclass(frozen=True, slots=True)
class _Table:
    """A section: its rows under a line of headings, the first of which is its title."""

    columns: Sequence[_Column]
    rows: list[list[Cell]]
    none: str = ""  # said when there are no rows; without it the section is left out

    @property
    def wanted(self) -> int:
        """Lines it would fill."""
        return 1 + max(1, len(self.rows)) if self.rows or self.none else 0


@dataclass(frozen=True, slots=True)
class Frame:
    """The whole screen, for rich's console."""

    lines: list[Line] = field(default_factory=list)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line in self.lines:
            for text, style in line:
                yield Segment(text, console.get_style(style) if style else None)
            yield Segment.line()

    def __str__(self) -> str:
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self.lines)


def frame(look: Look, *, columns: int, lines: int = 10_000) -> Frame:
    """The summary in at most so many lines."""
    head = [_headline(look, columns), *_warnings(look, columns), []]
    room = lines - len(head)
    running, events = _running(look), _events(look)
    workers, backlog, schedules = _workers(look), _backlog(look), _schedules(look)
    if columns >= WIDE:
        left, right = _halves(columns, 8, 5)
        body = _beside(
            _below([running, events], left, room),
            _below([workers, backlog, schedules], right, room),
            left,
        )
    elif columns >= NARROW:
        left, right = _halves(columns, 6, 5)
        lower = [table for table in (running, schedules, events) if table.wanted]
        wanted = [max(workers.wanted, backlog.wanted), *(table.wanted for table in lower)]
        upper = _shares(wanted, room - len(lower))[0]
        body = _beside(_drawn(workers, left, upper), _drawn(backlog, right, upper), left)
        body += [[], *_below(lower, columns, room - len(body) - 1)]
    else:
        body = _below([workers, running, backlog, events], columns, room)
    return Frame([*head, *body][:lines])


def harmless(text: object) -> str:
    """A text on one line that a terminal shows and does not obey.

    Control characters become their pictures (␛); left out is what has no width, joins other
    characters or turns the direction of writing.
    """
    return "".join(map(_harmless, str(text)))


@cache
def _harmless(char: str) -> str:
    kind = unicodedata.category(char)
    if char in "\t\n\r" or kind in ("Zl", "Zp"):
        return " "
    if kind == "Cc":
        code = ord(char)
        return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "�"
    if kind == "Cs":
        return "�"
    joins = "\ufe00" <= char <= "\ufe0f" or "\U0001f3fb" <= char <= "\U0001f3ff"
    return "" if kind == "Cf" or joins else char


def span(seconds: object) -> str:
    """A length of time in at most seven characters: 8s, 3m 05s, 2h 14m, 12d 3h; - if it is none."""
    if not isinstance(seconds, int | float):
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole // 60 % 60:02}m"
    days = whole // 86_400
    return f"{days}d {whole // 3600 % 24}h" if days < 1_000 else f"{days}d"


def _headline(look: Look, columns: int) -> Line:
    counts: Line = []
    for status, number in look["jobs"].items():
        if number:
            counts += [(f"{number:,} ", ""), (status, STYLES.get(status, "")), ("  ", "")]
    clock, end = f" {look['at'][11:19]} UTC  ", "  q ends"
    room = columns - len("KITT") - len(clock) - len(end)
    middle = _fit(counts or [("no jobs yet", "dim")], room)
    return [("KITT", "bold"), (clock, ""), *middle, (end, "dim")]


def _warnings(look: Look, columns: int) -> list[Line]:
    sign: Span = (" ! ", "bold reverse")
    return [
        [sign, *_fit([(f" {harmless(text)}", "bold")], columns - len(sign[0]))]
        for text in look["warnings"][:WARNINGS_MAX]
    ]


def _workers(look: Look) -> _Table:
    slots = [harmless(worker["slot"]) for worker in look["workers"]]
    columns = (
        _Column("Workers", max(map(cell_len, ["Workers", *slots]))),
        _Column("state", 8),
        _Column("up", 7, right=True),
        _Column("ended", 5, right=True),
        _Column("jobs"),
    )
    rows: list[list[Cell]] = [
        [
            slot,
            _styled(worker["state"]),
            span(worker["started_s"]),
            f"{worker['processed']}",
            _some(worker["jobs"]),
        ]
        for slot, worker in zip(slots, look["workers"], strict=True)
    ]
    return _Table(columns, rows, none="none is running")


def _some(jobs: Sequence[int]) -> str:
    others = f" +{len(jobs) - 1}" if len(jobs) > 1 else ""
    return f"#{jobs[0]}{others}" if jobs else ""


def _backlog(look: Look) -> _Table:
    columns = (
        _Column("Backlog"),
        _Column("status", 9),
        _Column("jobs", 6, right=True),
        _Column("oldest", 7, right=True),
    )
    rows: list[list[Cell]] = [
        [harmless(row["kind"]), _styled(row["status"]), f"{row['jobs']}", span(row["oldest_s"])]
        for row in look["backlog"]
    ]
    return _Table(columns, rows, none="nothing waits")


def _running(look: Look) -> _Table:
    numbers = [f"#{job['id']}" for job in look["running"]]
    columns = (
        _Column("Running", max(map(len, ["Running", *numbers])), right=True),
        _Column("job"),
        _Column("progress", BAR_CELLS + 5),
        _Column("step"),
        _Column("for", 7, right=True),
    )
    rows: list[list[Cell]] = [
        [
            number,
            harmless(job["title"]),
            _bar(job["progress"]),
            harmless(job["step"]),
            span(job["started_s"]),
        ]
        for number, job in zip(numbers, look["running"], strict=True)
    ]
    return _Table(columns, rows, none="nothing runs")


def _schedules(look: Look) -> _Table:
    columns = (_Column("Next by schedule", 16), _Column("job"), _Column("when"))
    rows: list[list[Cell]] = [
        [
            "soon" if (row["in_s"] or 0) <= 0 else f"in {span(row['in_s'])}",
            harmless(row["title"]),
            f"every {span(row['every_s'])}"
            if row["cron"] is None
            else harmless(f"{row['cron']} {row['zone']}"),
        ]
        for row in look["schedules"]
    ]
    return _Table(columns, rows)


def _events(look: Look) -> _Table:
    numbers = [f"#{row['job_id']}" for row in look["events"]]
    columns = (
        _Column("Events", 8),
        _Column("", max(map(len, ["", *numbers])), right=True),
        _Column("event", 10),
        _Column("job"),
        _Column("what"),
    )
    rows: list[list[Cell]] = [
        [
            (harmless(row["at"])[11:19], "dim"),
            number,
            _styled(row["event"], STYLES.get(row["level"], "")),
            harmless(row["title"]),
            (harmless(row["step"] or row["message"]), STYLES.get(row["level"], "")),
        ]
        for number, row in zip(numbers, look["events"], strict=True)
    ]
    return _Table(columns, rows, none="nothing happened yet")


def _styled(word: str, otherwise: str = "") -> Span:
    return harmless(word), STYLES.get(word, otherwise)


def _bar(progress: float | None) -> Line:
    if progress is None:
        return [("─" * BAR_CELLS, "dim")]
    percent = min(100.0, max(0.0, progress))
    full = round(BAR_CELLS * percent / 100)
    rest = BAR_CELLS - full
    return [("━" * full, "green"), ("─" * rest, "dim"), (f" {percent:3.0f}%", "")]


def _below(tables: Iterable[_Table], columns: int, lines: int) -> list[Line]:
    """Tables below each other with an empty line between; what has no room is left out."""
    shown = [table for table in tables if table.wanted]
    while shown and lines - len(shown) + 1 < 2 * len(shown):
        shown.pop()
    shares = _shares([table.wanted for table in shown], lines - len(shown) + 1)
    found: list[Line] = []
    for table, share in zip(shown, shares, strict=True):
        found += [*([[]] if found else []), *_drawn(table, columns, share)]
    return found


def _beside(left: list[Line], right: list[Line], columns: int) -> list[Line]:
    """Two blocks side by side; the left one is `columns` wide."""
    return [
        [*_fit(one or [], columns), (" " * GAP, ""), *(two or [])]
        for one, two in zip_longest(left, right)
    ]


def _drawn(table: _Table, columns: int, lines: int) -> list[Line]:
    """A table in so many lines at most, two or more."""
    fixed = sum(column.width for column in table.columns) + GAP * (len(table.columns) - 1)
    open_columns = [column for column in table.columns if not column.width]
    share, more = divmod(max(0, columns - fixed), max(1, len(open_columns)))
    widths = [column.width or share for column in table.columns]
    if open_columns:
        widths[table.columns.index(open_columns[-1])] += more
    title, *names = (column.name for column in table.columns)
    heading: list[Cell] = [(title, "bold"), *((name, "dim") for name in names)]
    drawn = [_row(row, table.columns, widths) for row in [heading, *table.rows[: lines - 1]]]
    return drawn if table.rows else [*drawn, _fit([(table.none, "dim")], columns)]


def _row(cells: Sequence[Cell], columns: Sequence[_Column], widths: Sequence[int]) -> Line:
    line: Line = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        if line:
            line.append((" " * GAP, ""))
        spans = (
            [(cell, "")] if isinstance(cell, str) else [cell] if isinstance(cell, tuple) else cell
        )
        line += _fit(spans, width, right=column.right)
    return line


def _fit(spans: Line, columns: int, *, right: bool = False) -> Line:
    """Exactly so many columns: filled up, or cut with an ellipsis."""
    width = sum(cell_len(text) for text, _ in spans)
    if width <= columns:
        filling = (" " * (columns - width), "")
        return [filling, *spans] if right else [*spans, filling]
    fitted: Line = []
    room = columns - 1
    for text, style in spans:
        part = text if cell_len(text) <= room else set_cell_size(text, max(0, room))
        fitted.append((part, style))
        room -= cell_len(part)
        if part != text:
            break
    return [*fitted, ("…", "")] if columns > 0 else []


def _halves(columns: int, left: int, right: int) -> tuple[int, int]:
    """Two widths in this proportion, with the gap between."""
    first = (columns - GAP) * left // (left + right)
    return first, columns - GAP - first


def _shares(wanted: Sequence[int], lines: int) -> list[int]:
    """Fair parts of so many lines; what one does not want the others have."""
    shares = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[index] = min(wanted[index], lines // (len(wanted) - place))
        lines -= shares[index]
    return shares
