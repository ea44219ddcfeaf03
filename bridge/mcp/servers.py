"""The MCP servers that jobs may use, as an owner wrote them down in `profile/mcp.toml`.

    [servers.notes]
    command = ["python3", "/opt/notes/server.py"]
    shows = ["/opt/notes"]           # what it sees beside the system's folders, read-only
    tools = ["search", "read"]       # what may be called at any time
    writes = ["create"]              # what its user must allow once a job has read others' text
    env = ["NOTES_TOKEN"]            # names in .env or the environment; it is given no others
    network = false
    files = false                    # does it see the folder of the job that calls it?
    seconds = 60                     # how long a call may take
    sha256 = "…"                     # of what it says about itself; `kitt doctor` shows it

    [servers.wiki]
    url = "https://wiki.example.com/mcp"   # instead of a command: it is reached over HTTP
    key = "WIKI_TOKEN"                     # a name as in env, sent as Authorization: Bearer …

A server tells a model what its tools do, and may tell it anything. So it is off until an owner has
read that and written down its sum, and off again as soon as it says something else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.errors import ConfigError
from bridge.owners_files import address_of, header_secret, secret_of, tables_of
from bridge.settings import Secret, Settings

FILE: Final = "mcp.toml"
KEYS: Final = frozenset(
    {"command", "shows", "tools", "writes", "env", "network", "files", "seconds", "sha256"}
    | {"url", "key"}
)
OF_PROGRAMS: Final = ("shows", "env", "network", "files")
LISTS: Final = ("command", "shows", "tools", "writes", "env")
SECONDS: Final = 60.0
SECONDS_MAX: Final = 600.0
TOOL_NAME_CHARS_MAX: Final = 64  # what the model provider takes
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")
_SUM: Final = re.compile(r"[0-9a-f]{64}")
NO_KEY: Final = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One of them: a program with its `command`, or a `url`. Without a `sha256` it is not used.

    `inside`: the url may be a private address.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    key: Secret = NO_KEY
    inside: bool = False
    shows: tuple[Path, ...] = ()
    tools: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    env: Mapping[str, Secret]
    network: bool = False
    files: bool = False
    seconds: float = SECONDS
    sha256: str = ""

    def called(self, tool: str) -> str:
        """What the model calls one of its tools."""
        return f"mcp__{self.name}__{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}"


def read_servers(settings: Settings) -> list[Server]:
    """Every server, by name; none without the file.

    Raises: ConfigError, with the place that is wrong and what to do.
    """
    path = settings.profile / FILE
    tables = tables_of(path)
    servers = tables.pop("servers", {})
    if tables or not isinstance(servers, dict):
        raise ConfigError(f"{path} holds tables named [servers.NAME], and nothing else.")
    found = []
    for name, table in sorted(servers.items()):
        try:
            found.append(_server(name, table, settings))
        except ValueError as error:
            raise ConfigError(f"{path}, [servers.{name}]: {error}.") from None
    return found


def _server(name: str, table: Any, settings: Settings) -> Server:
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        raise ValueError("its name must be at most 20 of a-z, 0-9 and hyphens, a letter first")
    if "key" in table and "url" not in table:
        raise ValueError("key is for a server with a url; a program gets its secrets by env")
    if unknown := sorted(table.keys() - KEYS):
        raise ValueError(f"{unknown[0]} is not known here; known are {', '.join(sorted(KEYS))}")
    lists = {key: _texts(key, table.get(key, [])) for key in LISTS}
    url, key, inside = _remote(table, settings) if "url" in table else ("", NO_KEY, False)
    if not url and not any(lists["command"][:1]):
        raise ValueError('command must be the program and its arguments, such as ["notes-mcp"]')
    seconds, pin = table.get("seconds", SECONDS), table.get("sha256", "")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("seconds must be a number")
    if not 0 < seconds <= SECONDS_MAX:
        raise ValueError(f"seconds must be more than 0 and at most {SECONDS_MAX:.0f}")
    if not isinstance(pin, str) or (pin and not _SUM.fullmatch(pin)):
        raise ValueError("sha256 must be the 64 digits that `kitt doctor` shows")
    server = Server(
        name=name,
        command=lists["command"],
        url=url,
        key=key,
        inside=inside,
        shows=tuple(_shown(text, settings) for text in lists["shows"]),
        tools=lists["tools"],
        writes=lists["writes"],
        env={variable: secret_of("env", variable, settings) for variable in lists["env"]},
        network=bool(url) or _switch("network", table),
        files=_switch("files", table),
        seconds=float(seconds),
        sha256=pin,
    )
    _check_names(server)
    return server


def _remote(table: Mapping[str, Any], settings: Settings) -> tuple[str, Secret, bool]:
    """Where it is, its key, and whether that may be inside the network."""
    if wrong := [name for name in ("command", *OF_PROGRAMS) if name in table]:
        raise ValueError(f"{wrong[0]} is for a server that is a program; this one has a url")
    url, name = table["url"], table.get("key", "")
    if not isinstance(url, str) or not isinstance(name, str):
        raise ValueError("url and key must be texts")
    url, inside = address_of("url", url)
    if url.startswith("http:") and not inside:
        raise ValueError("url: a server on the internet is asked by https only")
    return url, header_secret(name, settings), inside


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{key} must be a list of texts")
    if any("\x00" in text for text in value):
        raise ValueError(f"{key} holds a sign that no program can be given")
    return tuple(value)


def _switch(key: str, table: Mapping[str, Any]) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false")
    return value


def _shown(text: str, settings: Settings) -> Path:
    path = Path(text)
    if not path.is_absolute() or not path.exists():
        raise ValueError(f"shows must hold whole paths of what is there; {text} is not")
    for private in (settings.memory.resolve(), Path(".env").resolve()):
        if private.is_relative_to(path.resolve()) or path.resolve().is_relative_to(private):
            raise ValueError(f"shows may not hold {text}: that would show {private}")
    return path


def _check_names(server: Server) -> None:
    names = [server.called(tool) for tool in (*server.tools, *server.writes)]
    if len(set(names)) < len(names):
        raise ValueError("tools and writes name a tool twice")
    if long := [name for name in names if len(name) > TOOL_NAME_CHARS_MAX]:
        raise ValueError(f"{long[0]} has more than {TOOL_NAME_CHARS_MAX} characters")
