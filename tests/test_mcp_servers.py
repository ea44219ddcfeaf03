"""profile/mcp.toml: what an owner may write there, and the one sentence about what is wrong."""

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.mcp.servers import read_servers
from bridge.settings import Secret, Settings

WHOLE = """
[servers.notes]
command = ["notes-mcp", "--quiet", ""]
shows = ["{folder}"]
tools = ["read"]
writes = ["notes.create"]
env = ["NOTES_TOKEN"]
network = true
files = true
seconds = 5
sha256 = "{pin}"

[servers.clock]
command = ["clock-mcp"]
"""
WIKI = "[servers.wiki]\nurl = 'https://wiki.test/mcp'\n"
NOTES = "[servers.notes]\ncommand = ['x']\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        profile=tmp_path / "profile",
        keys={"NOTES_TOKEN": Secret("notes-secret-1"), "TWO_KEY": Secret("one\ntwo")},
        telegram_token=Secret("12345:AAAAAAAAAAAAAAAAAAAAAAAA"),
    )


def write(settings: Settings, text: str) -> None:
    settings.memory.mkdir(parents=True, exist_ok=True)
    (settings.profile / "mcp.toml").write_text(text, encoding="utf-8")


def test_without_the_file_there_are_none(settings: Settings) -> None:
    assert read_servers(settings) == []


def test_everything_in_the_file_is_read(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    write(settings, WHOLE.format(folder=tmp_path / "notes", pin="a" * 64))

    clock, notes = read_servers(settings)

    assert notes.command == ("notes-mcp", "--quiet", "")
    assert (notes.shows, notes.seconds) == ((tmp_path / "notes",), 5.0)
    assert (notes.tools, notes.writes) == (("read",), ("notes.create",))
    assert (notes.network, notes.files, notes.sha256) == (True, True, "a" * 64)
    assert notes.env["NOTES_TOKEN"].reveal() == "notes-secret-1"
    assert notes.called("notes.create") == "mcp__notes__notes_create"
    assert "secret-1" not in repr(notes)
    assert (clock.network, clock.files, clock.env, clock.sha256) == (False, False, {}, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers", "cannot be read"),
        ("[notes]", r"named \[servers.NAME\]"),
        ("[servers]\nnotes = 1", "its name must be"),
        ("[servers.My_Notes]\ncommand = ['x']", "its name must be"),
        ("[servers.notes]", "command must be the program"),
        ("[servers.notes]\ncommand = ['']", "command must be the program"),
        ("[servers.notes]\ncommand = 'notes'", "command must be a list of texts"),
        ('[servers.notes]\ncommand = ["a\\u0000b"]', "no program can be given"),
        (f"{NOTES}url = 'https://a.test'", "command is for a server that is a program"),
        (f"{NOTES}key = 'NOTES_TOKEN'", "key is for a server with a url"),
        (f"{WIKI}env = ['NOTES_TOKEN']", "env is for a server that is a program"),
        (f"{WIKI}key = 'NO_KEY'", "key names NO_KEY, which is not set"),
        (f"{WIKI}key = 1", "url and key must be texts"),
        (WIKI.replace("https", "http"), "asked by https only"),
        (f"{WIKI}key = 'TWO_KEY'", "more than one line"),
        ("[servers.wiki]\nurl = 'http://93.184.216.34/mcp'", "asked by https only"),
        (WIKI.replace("mcp'", "mcp?a=1'"), "url ends with its path"),
        (WIKI.replace("https", "ftp"), "url: Only http and https"),
        (WIKI.replace("https://", "https://a:b@"), "a name or password in it"),
        (f"{NOTES}tools = [1]", "tools must be a list of texts"),
        (f"{NOTES}tools = ['a']\nwrites = ['a']", "name a tool twice"),
        (f"{NOTES}tools = ['a.b', 'a_b']", "name a tool twice"),
        (f"{NOTES}tools = ['{'a' * 60}']", "more than 64 characters"),
        (f"{NOTES}env = ['NO_KEY']", "NO_KEY, which is not set"),
        (f"{NOTES}env = ['PATH']", "PATH, which is not set"),
        (f"{NOTES}env = ['TELEGRAM_BOT_TOKEN']", "TELEGRAM_BOT_TOKEN, which is not set"),
        (f"{NOTES}env = ['TWO_KEY']", "more than one line"),
        (f"{NOTES}network = 1", "network must be true or false"),
        (f"{NOTES}files = 'yes'", "files must be true or false"),
        (f"{NOTES}seconds = 0", "seconds must be more than 0"),
        (f"{NOTES}seconds = 601", "at most 600"),
        (f"{NOTES}seconds = true", "seconds must be a number"),
        (f"{NOTES}sha256 = 'abc'", "the 64 digits"),
        (f"{NOTES}shows = ['notes']", "whole paths of what is there"),
        (f"{NOTES}shows = ['/no/such/folder']", "whole paths of what is there"),
        (f"{NOTES}shows = ['/']", "that would show"),
    ],
)
def test_what_is_wrong_is_one_sentence(settings: Settings, text: str, said: str) -> None:
    write(settings, text)

    with pytest.raises(ConfigError, match=said) as caught:
        read_servers(settings)

    assert str(caught.value).startswith(str(settings.profile / "mcp.toml"))


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://wiki.test/mcp/", False),
        ("http://192.168.1.5:8123/mcp", True),
        ("http://localhost/mcp", True),
    ],
)
def test_an_address_may_be_inside_the_network_only_as_numbers_or_as_localhost(
    settings: Settings, url: str, inside: bool
) -> None:
    write(settings, f"[servers.wiki]\nurl = '{url}'\nkey = 'NOTES_TOKEN'\n")

    (wiki,) = read_servers(settings)

    assert (wiki.url, wiki.inside, wiki.network) == (url, inside, True)
    assert wiki.key.reveal() == "notes-secret-1"


@pytest.mark.parametrize("place", [".", "memory", "memory/jobs"])
def test_no_server_is_shown_what_is_private(settings: Settings, place: str) -> None:
    settings.jobs_dir.mkdir(parents=True)
    write(settings, f'{NOTES}shows = ["{settings.profile / place}"]')

    with pytest.raises(ConfigError, match="that would show"):
        read_servers(settings)
