"""`kitt startup` prints a unit that systemd takes, for this installation and no other."""

import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from terminal import Terminal

from bridge.settings import Settings
from bridge.startup import unit

ODD = 'my 100% "$HOME" profile'  # every sign that systemd gives a meaning to


def read(text: str) -> RawConfigParser:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def plain(value: str) -> str:
    """One quoted word as systemd understands it."""
    assert value.startswith('"')
    assert value.endswith('"')
    assert "%" not in value.replace("%%", "")
    return value[1:-1].replace("%%", "%").replace('\\"', '"')


@pytest.mark.parametrize("name", ["profile", ODD])
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    settings = Settings(profile=folder)
    settings.memory.mkdir(parents=True)

    python = tmp_path / name.replace('"', "") / "python"  # systemd takes no quote there at all
    python.parent.mkdir(exist_ok=True)
    python.symlink_to(sys.executable)

    text = unit(settings, folder=folder, python=str(python))

    service = read(text)["Service"]
    assert service["WorkingDirectory"] == str(folder).replace("%", "%%")
    assert plain(service["Environment"]) == f"KITT_PROFILE={folder}"
    assert plain(service["ReadWritePaths"].split('" "')[0] + '"') == str(settings.memory)
    assert plain(service["ExecStart"].removesuffix(" -P -m bridge up")) == str(python)
    if shutil.which("systemd-analyze"):
        path = tmp_path / "kitt.service"
        path.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=30
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_leaves_time_to_drain_and_locks_what_is_not_needed() -> None:
    service = read(unit(Settings(profile=Path("/srv/kitt")), folder=Path("/srv")))["Service"]

    assert service["KillMode"] == "mixed"  # TERM to supervisord alone
    assert int(service["TimeoutStopSec"]) > 40  # `kitt down` waits as long
    assert service["Restart"] == "always"
    assert service["UMask"] == "0077"
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert service["ReadWritePaths"] == '"/srv/kitt/memory"'
    assert service["PrivateTmp"] == "yes"
    for closed_to_sandboxes in ("RestrictNamespaces", "ProtectKernelTunables", "ProtectProc"):
        assert closed_to_sandboxes not in service


def test_a_profile_in_the_temp_folder_is_not_hidden_by_one_of_its_own() -> None:
    service = read(unit(Settings(profile=Path("/tmp/me")), folder=Path("/srv")))["Service"]

    assert service["PrivateTmp"] == "no"
    assert service["ReadWritePaths"] == '"/tmp/me/memory" "/tmp" "/var/tmp"'


def test_the_command_prints_the_unit_and_how_to_install_it_apart(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)

    done = terminal.kitt("startup")

    assert done.code == 0
    assert read(done.out)["Service"]["ExecStart"].startswith(f'"{sys.executable}"')
    assert terminal.database.parent.is_dir()
    assert "TELEGRAM_BOT_TOKEN and ANTHROPIC_API_KEY must be there." in done.err
    *_, first, second, third = done.err.splitlines()
    assert first == "  kitt startup | sudo tee /etc/systemd/system/kitt.service"
    assert second == "  sudo systemctl daemon-reload"
    assert third == "  sudo systemctl enable --now kitt.service"


def test_with_everything_in_the_env_file_only_the_installation_is_explained(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").touch(0o600)
    (tmp_path / ".env").write_text("TELEGRAM_BOT_TOKEN=1:a\nANTHROPIC_API_KEY=b\n")

    done = Terminal(tmp_path).kitt("startup")

    assert done.err.startswith("Install it with:\n")
