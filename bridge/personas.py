"""Personas: other characters than KITT.md's, chosen for a chat, a kind of job or one job.

`profile/personas/<name>.md` has front matter (name, role, backstory; model, effort and max_tokens
when they are to be others) and instructions below it, which take the place of KITT.md. The rules
that KITT lives by stay. A broken file is left out, with a warning that names it.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.profile import NAME_PATTERN, front_matter
from bridge.settings import Settings

log = logging.getLogger(__name__)
KEYS: Final = {"name": 40, "role": 200, "backstory": 1_000, "model": 100, "effort": 10}
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
TOKENS_MAX: Final = 128_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One valid file; `id` is its name without `.md`, and what is chosen."""

    id: str
    name: str
    role: str = ""
    backstory: str = ""
    instructions: str = ""
    model: str = ""
    effort: str = ""
    max_tokens: int = 0

    @property
    def prompt(self) -> str:
        """In the place of KITT.md."""
        who = f"You are {self.name}" + (f", {self.role}." if self.role else ".")
        return "\n\n".join(filter(None, (f"{who} {self.backstory}".strip(), self.instructions)))

    def model_for(self, settings: Settings, usual: str) -> str:
        """Its own model, unless it is Claude's and this provider has none."""
        if self.model.startswith("claude-") and not usual.startswith("claude-"):
            log.warning("The persona %s wants %s, which this provider lacks", self.id, self.model)
            return usual
        return self.model or usual


KITT: Final = Persona(id="", name="KITT")  # whose words are in KITT.md


def personas(profile: Path) -> list[Persona]:
    """Every valid one, by the name of its file."""
    found = []
    for path in sorted((profile / "personas").glob("*.md")):
        try:
            found.append(_read(path))
        except (OSError, ValueError) as error:
            log.warning("The persona %s is left out: %s.", path, error)
    return found


def persona_named(profile: Path, name: str) -> Persona | None:
    """The persona of this name; None when there is none that can be used."""
    if not re.fullmatch(NAME_PATTERN, name):
        return None
    path = profile / "personas" / f"{name}.md"
    try:
        return _read(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("The persona %s is left out: %s.", path, error)
        return None


def _read(path: Path) -> Persona:
    """Raises: OSError, ValueError with the reason."""
    if not re.fullmatch(NAME_PATTERN, path.stem):
        raise ValueError("its file may be called only by a-z, 0-9 and single hyphens")
    fields, _, body = front_matter(path)
    tokens = fields.pop("max_tokens", "0")
    for key, value in fields.items():
        if key not in KEYS or len(value) > KEYS[key]:
            raise ValueError(f"{key} is no key of a persona, or too long")
    if "name" not in fields:
        raise ValueError("name is missing")
    if fields.get("effort", "low") not in EFFORTS:
        raise ValueError(f"effort must be one of {', '.join(EFFORTS)}")
    if not tokens.isdecimal() or int(tokens) > TOKENS_MAX:
        raise ValueError(f"max_tokens must be a number up to {TOKENS_MAX:,}")
    return Persona(id=path.stem, instructions=body, max_tokens=int(tokens), **fields)
