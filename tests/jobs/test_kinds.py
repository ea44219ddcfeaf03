"""Which kinds of jobs there are, and which are left out, with the reason."""

import logging
from pathlib import Path

import pytest
from own_kinds import INVOICE, install_kind, write_kind

from bridge.errors import KindRefused
from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Kind
from bridge.kinds.payload import fields_of
from bridge.kinds.registry import Broken, Kinds


def broken(kinds: Kinds, name: str = "invoice") -> str:
    """Why this one is left out, as whoever wants to use it is told."""
    with pytest.raises(KindRefused) as refused:
        kinds.find(name)
    return str(refused.value)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_kind_knows_its_craft_and_its_data(tmp_path: Path, name: str) -> None:
    kind = Kinds(tmp_path).find(name)

    assert kind is not None
    assert (kind.name, kind.description, kind.handler) == (name, BUILT_IN[name], None)
    assert kind.instructions.startswith("This job ")
    assert "The result:" in kind.instructions or "The document:" in kind.instructions
    assert fields_of(kind)[0].required
    assert kind.tools


@pytest.mark.parametrize("name", ["other", "files", "music", "../../etc/passwd", "", "x" * 300])
def test_a_word_that_names_no_kind_is_none(tmp_path: Path, name: str) -> None:
    assert Kinds(tmp_path).find(name) is None


def test_one_file_in_the_profile_is_a_kind(tmp_path: Path) -> None:
    path = write_kind(tmp_path)

    kinds = Kinds(tmp_path)

    kind = kinds.find("invoice")
    assert kind is not None
    assert (kind.description, kind.priority) == ("make an invoice", 3)
    assert [one.name for one in kinds.usable()] == ["invoice"]
    assert [one.name for one in kinds.all()] == [*BUILT_IN, "invoice"]
    assert kinds.source("invoice") == str(path)


def test_running_a_file_leaves_nothing_in_the_profile(tmp_path: Path) -> None:
    write_kind(tmp_path)

    Kinds(tmp_path).find("invoice")

    assert [path.name for path in (tmp_path / "kinds").iterdir()] == ["invoice.py"]


def test_a_file_takes_the_place_of_the_built_in_kind(tmp_path: Path) -> None:
    write_kind(tmp_path, INVOICE.replace('"invoice"', '"research"'), name="research")

    kind = Kinds(tmp_path).find("research")

    assert kind is not None
    assert kind.description == "make an invoice"


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    kinds = Kinds(tmp_path)
    write_kind(tmp_path)
    first = kinds.find("invoice")
    assert kinds.find("invoice") is first
    write_kind(tmp_path, INVOICE.replace("make an invoice", "bill somebody"))

    kind = kinds.find("invoice")

    assert kind is not None
    assert kind.description == "bill somebody"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("KIND = ", "line 1: invalid syntax."),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "SystemExit: 3, line 1."),
        ("\n\nthere", "NameError: name 'there' is not defined, line 3."),
        ("NAME = 1", "it must say KIND = Kind(…)."),
        (INVOICE.replace('"invoice"', '"bill"'), "its name is bill, and must be invoice."),
        (INVOICE.replace('"invoice"', '"In Voice"'), "'In Voice' cannot be its name: take at most"),
        (INVOICE.replace('"make an invoice"', '""'), "its description must have 1 to 160"),
        (INVOICE.replace("async def", "def").replace("await ", ""), "its handler must be an async"),
    ],
)
def test_a_broken_file_is_left_out_with_a_warning_that_says_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    path = write_kind(tmp_path, text)
    write_kind(tmp_path, INVOICE.replace('"invoice"', '"bill"'), name="bill")
    kinds = Kinds(tmp_path)

    with caplog.at_level(logging.WARNING):
        usable = [kind.name for kind in kinds.usable()]

    assert usable == ["bill"]
    (warning,) = caplog.messages
    assert str(path) in warning and reason.rstrip(".") in warning
    assert reason in broken(kinds)


def test_a_file_that_others_can_write_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    path = write_kind(tmp_path, f"open({str(marker)!r}, 'w').close()")
    path.chmod(0o664)

    assert f"others can write {path}: run `chmod go-w {path}`." in broken(Kinds(tmp_path))
    assert not marker.exists()


def test_a_file_in_a_folder_that_others_can_write_is_not_run(tmp_path: Path) -> None:
    folder = write_kind(tmp_path).parent
    folder.chmod(0o757)

    assert f"others can write {folder}" in broken(Kinds(tmp_path))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = write_kind(tmp_path)
    path.rename(tmp_path / "elsewhere.py")
    path.symlink_to(tmp_path / "elsewhere.py")

    assert broken(Kinds(tmp_path)) == f"{path} cannot be used: it is a link."


def test_a_file_that_is_mended_is_used(tmp_path: Path) -> None:
    kinds = Kinds(tmp_path)
    write_kind(tmp_path).chmod(0o666)
    broken(kinds)

    write_kind(tmp_path)

    assert kinds.find("invoice") is not None


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = INVOICE) -> Kinds:
    """The kinds beside an installed package that offers one."""
    install_kind(folder, monkeypatch, text)
    return Kinds(folder)


def test_an_installed_package_may_offer_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = installed(tmp_path, monkeypatch)

    found = kinds.find("invoice")

    assert isinstance(found, Kind)
    assert kinds.source("invoice") == "package"
    assert "invoice" in [kind.name for kind in kinds.all()]


def test_a_broken_package_is_named_and_harms_no_other_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = installed(tmp_path, monkeypatch, "KIND = 3")

    (left_out,) = [kind for kind in kinds.all() if isinstance(kind, Broken)]

    assert left_out.reason == "it must say KIND = Kind(…)"
    assert "bills_of_a_package:KIND" in left_out.source
    assert kinds.find("research") is not None
