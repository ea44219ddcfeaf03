"""The APIs that jobs may ask, as an owner wrote them down in `profile/apis.toml`.

    [home]
    address = "http://192.168.1.5:8123/api"
    about = "Home Assistant: lights and sensors"
    methods = ["GET", "POST"]        # GET alone when it is left out
    key = "HOME_KEY"                 # a name in .env or the environment, never the key itself
    header = "Authorization"         # where the key goes, and how
    form = "Bearer {key}"

An address inside the network is reached only when it stands there as numbers, or as localhost.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import ConfigError
from bridge.owners_files import address_of, header_secret, tables_of
from bridge.settings import Secret, Settings

FILE: Final = "apis.toml"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
KEYS: Final = frozenset({"address", "about", "methods", "key", "header", "form"})
ABOUT_CHARS_MAX: Final = 300
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One of them. `address` has no slash at its end; `inside`: it may be a private one."""

    name: str
    address: str
    about: str
    methods: tuple[str, ...]
    key: Secret
    header: str
    form: str
    inside: bool

    @property
    def headers(self) -> dict[str, str]:
        """What shows who asks; only for the request itself."""
        return {self.header: self.form.replace("{key}", self.key.reveal())} if self.key else {}


def read_apis(settings: Settings) -> list[Api]:
    """Every API, by name; none without the file.

    Raises: ConfigError, with the place that is wrong and what to do.
    """
    path = settings.profile / FILE
    found = []
    for name, table in sorted(tables_of(path).items()):
        try:
            found.append(_api(name, table, settings))
        except ValueError as error:
            raise ConfigError(f"{path}, [{name}]: {error}.") from None
    return found


def _api(name: str, table: Any, settings: Settings) -> Api:
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        raise ValueError("an API is a table named with a-z, 0-9 and hyphens, such as [home]")
    if unknown := sorted(table.keys() - KEYS):
        raise ValueError(f"{unknown[0]} is not known here; known are {', '.join(sorted(KEYS))}")
    methods = table.get("methods", ["GET"])
    if not isinstance(methods, list) or not methods or not all(m in METHODS for m in methods):
        raise ValueError(f"methods must be a list of {', '.join(METHODS)}")
    texts = {key: table.get(key, "") for key in KEYS - {"methods"}}
    if not all(isinstance(text, str) and text.isprintable() for text in texts.values()):
        raise ValueError("all but methods must be text on one line")
    address, inside = address_of("address", texts["address"])
    key = header_secret(texts["key"], settings)
    if key and address.startswith("http:") and not inside:
        raise ValueError("a key is sent to the internet by https only")
    header, form = texts["header"] or "Authorization", texts["form"] or "Bearer {key}"
    if (
        not _HEADER.fullmatch(header)
        or header.lower() == "host"
        or "{key}" not in form
        or not form.isascii()
    ):
        raise ValueError("header must be the name of a header, and form must hold {key}")
    return Api(
        name=name,
        address=address.rstrip("/"),
        about=texts["about"][:ABOUT_CHARS_MAX],
        methods=tuple(method for method in METHODS if method in methods),
        key=key,
        header=header,
        form=form,
        inside=inside,
    )
