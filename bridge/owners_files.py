"""What an owner writes for jobs into a file of the profile: tables, addresses and names of secrets.

Whoever reads one says what is in its tables; a ValueError here is the end of a sentence about one.
"""

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bridge.addresses import is_public
from bridge.errors import ConfigError
from bridge.outgoing import NotAllowed, checked
from bridge.settings import Secret, Settings


def tables_of(path: Path) -> dict[str, Any]:
    """What stands in a TOML file; nothing where there is none. Raises: ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None


def address_of(key: str, text: str) -> tuple[str, bool]:
    """An address, and whether it may be inside the network. Raises: ValueError."""
    try:
        parsed = checked(text)
    except NotAllowed as error:
        raise ValueError(f"{key}: {str(error).rstrip('.')}") from None
    if parsed.query or parsed.fragment:
        raise ValueError(f"{key} ends with its path, without ? and #")
    host = parsed.host.strip("[]")
    try:
        ip_address(host)
        inside = not is_public(host)
    except ValueError:
        inside = host == "localhost"
    return str(parsed), inside


def secret_of(key: str, name: str, settings: Settings) -> Secret:
    """The secret of this name in .env or the environment. Raises: ValueError."""
    secret = settings.keys.get(name)
    if not secret:
        raise ValueError(
            f"{key} names {name}, which is not set: put it into .env. Its name must end in _KEY, "
            "_TOKEN, _SECRET or _PASSWORD"
        )
    if not secret.reveal().isprintable():
        raise ValueError(f"{key} names {name}, which has more than one line")
    return secret


def header_secret(name: str, settings: Settings) -> Secret:
    """The secret that `key` names, for a header; none without a name. Raises: ValueError."""
    if not name:
        return Secret("")
    secret = secret_of("key", name, settings)
    if not secret.reveal().isascii():
        raise ValueError(f"key names {name}, which holds what no header can hold")
    return secret
