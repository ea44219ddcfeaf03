"""Links that a model wrote: which Telegram takes, and which say one host and go to another.

Source: TDLib, HttpUrl.cpp and MessageEntity.cpp.
"""

import re
import unicodedata

from bridge.telegram.syntax import parser

# Stricter than TDLib, which refuses the whole message for one link it does not accept: a host
# without a dot, a port that is none. A name before the host (user@host) only serves to mislead.
_WEB_URL = re.compile(r"https?://((?:[\w-]+\.)+[\w-]+)\.?(?::(\d{1,5}))?(?:[/?#]\S*)?", re.I)
_FILE_ENDING = r"(?:c|cpp|css|csv|html?|java|json|jsx?|log|pdf|php|sql|toml|tsx?|txt|xml|ya?ml)\b"
_HOST_IN_TEXT = re.compile(
    rf"https?://([\w.-]+)|(?<![^\s(<@\"'“‘«])((?:[\w-]+\.)+(?!{_FILE_ENDING})[^\W\d_]{{2,}})", re.I
)


def web_host(url: str) -> str | None:
    """The host of a link that Telegram accepts, else None."""
    found = _WEB_URL.fullmatch(url)
    if found is None or (found[2] and not 0 < int(found[2]) < 65536):
        return None
    return found[1].lower()


def address_of(url: str) -> str:
    """What is worth reading of a target that cannot be a link."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() in {"mailto", "tel"}:
        return rest.partition("?")[0]
    return url.rstrip("/") if scheme.lower() in {"http", "https"} else ""


def names_other_host(words: str, host: str) -> bool:
    """Whether the words of a link look like an address other than its target."""
    legible = unicodedata.normalize("NFKC", words)
    legible = "".join(letter for letter in legible if unicodedata.category(letter) != "Cf")
    for found in _HOST_IN_TEXT.finditer(legible):
        named = parser().normalizeLink("http://" + (found[1] or found[2]))
        named = named.removeprefix("http://").lower().rstrip(".")
        if named.removeprefix("www.") != host.removeprefix("www."):
            return True
    return False
