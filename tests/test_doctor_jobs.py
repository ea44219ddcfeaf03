"""What `kitt doctor` says of what jobs can use."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from bridge.doctor_jobs import CHECKS, Check
from bridge.errors import ConfigError
from bridge.settings import Secret, Settings
from bridge.tools import chromium


def look(name: str, folder: Path, **settings: Any) -> Check:
    """One check, as doctor runs it."""
    (check,) = dict(CHECKS)[name](Settings(profile=folder, **settings))
    return check


def test_the_web_of_a_provider_is_enough(tmp_path: Path) -> None:
    check = look("web", tmp_path)

    assert (check.status, "provider searches" in check.message) == ("ok", True)


def test_what_is_missing_for_the_web_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"worker_model": "gpt-5", "anthropic_base_url": "http://192.168.1.9:11434"}
    without_search = look("web", tmp_path, **own)
    both = look("web", tmp_path, search="brave", search_key=Secret("key-of-brave"), **own)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    without_pages = look("web", tmp_path, **own)

    assert (both.status, "search with brave" in both.message) == ("ok", True)
    assert without_search.message == "Jobs do not search: set KITT_SEARCH."
    assert "kitt-bridge[web]" in without_pages.message
    assert without_pages.status == "warning"


def test_apis_are_named_and_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "apis.toml"
    assert look("apis", tmp_path).status == "ok"
    file.write_text('[home]\naddress = "http://127.0.0.1:1"\nmethods = ["GET", "POST"]')
    assert look("apis", tmp_path).message == "Jobs may ask home (GET, POST)."
    file.write_text('[home]\naddress = "somewhere"')

    with pytest.raises(ConfigError, match=r"\[home\]: address: Only http"):
        look("apis", tmp_path)


def test_a_browser_that_cannot_have_its_sandbox_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "can_browse", lambda: True)
    monkeypatch.setattr(chromium, "missing_for_sandbox", lambda: "allow user namespaces")
    refused = look("browser", tmp_path)
    without = look("browser", tmp_path, browser_sandbox=False)
    monkeypatch.setattr(chromium, "can_browse", lambda: False)
    none = look("browser", tmp_path)

    assert refused.status == "warning"
    assert "allow user namespaces, or set KITT_BROWSER_SANDBOX=off" in refused.message
    assert without.message.endswith("without a sandbox of its own.")
    assert (none.status, "Jobs have no browser" in none.message) == ("ok", True)
