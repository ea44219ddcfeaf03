"""What jobs can use here, as `kitt doctor` finds it; and what a finding is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bridge.apis import FILE, read_apis
from bridge.settings import Settings

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `message` is a sentence that says what to do unless it is fine."""

    name: str
    status: Status
    message: str


def _web(settings: Settings) -> list[Check]:
    """Whether jobs can search and read pages, and who does it."""
    from bridge.tools.readable import can_read
    from bridge.tools.web import provider_has_web

    if provider_has_web(settings):
        return [Check("web", "ok", "The model provider searches and reads pages for the jobs.")]
    missing = []
    if not can_read():
        missing.append("read no pages: run `pip install 'kitt-bridge[web]'`")
    if not settings.search:
        missing.append("do not search: set KITT_SEARCH")
    if missing:
        return [Check("web", "warning", f"Jobs {'; they '.join(missing)}.")]
    return [Check("web", "ok", f"Jobs read pages themselves and search with {settings.search}.")]


def _apis(settings: Settings) -> list[Check]:
    found = read_apis(settings)
    if not found:
        text = f"Jobs ask no APIs; {settings.profile / FILE} could name some."
        return [Check("apis", "ok", text)]
    names = ", ".join(f"{api.name} ({', '.join(api.methods)})" for api in found)
    return [Check("apis", "ok", f"Jobs may ask {names}.")]


def _browser(settings: Settings) -> list[Check]:
    from bridge.tools.chromium import can_browse, missing_for_sandbox, program

    if not can_browse():
        lack = "`pip install 'kitt-bridge[browser]'`" if program() else "Chromium"
        return [Check("browser", "ok", f"Jobs have no browser; it would need {lack}.")]
    if settings.browser_sandbox and (lack := missing_for_sandbox()):
        text = f"Jobs have no browser: {lack}, or set KITT_BROWSER_SANDBOX=off."
        return [Check("browser", "warning", text)]
    how = "in its own sandbox" if settings.browser_sandbox else "without a sandbox of its own"
    return [Check("browser", "ok", f"Jobs have {program()}, {how}.")]


def _sandbox(settings: Settings) -> list[Check]:
    from bridge.sandbox.probe import sandbox_of  # only here: it is tried by running it

    _, problem = sandbox_of(settings.profile)
    if problem:
        return [Check("sandbox", "warning", f"Jobs cannot run code. {problem}")]
    return [Check("sandbox", "ok", "Jobs can run code, closed in by bubblewrap.")]


def _documents(_settings: Settings) -> list[Check]:
    from bridge.tools.documents import can_write

    if can_write():
        return [Check("documents", "ok", "Jobs read and write PDF and Word files.")]
    text = "Jobs read no PDF files and write no documents: run `make tools`."
    return [Check("documents", "warning", text)]


Look = Callable[[Settings], list[Check]]
CHECKS: Final[tuple[tuple[str, Look], ...]] = (
    ("web", _web),
    ("sandbox", _sandbox),
    ("documents", _documents),
    ("apis", _apis),
    ("browser", _browser),
)
