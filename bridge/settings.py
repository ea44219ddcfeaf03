"""The only reader of the environment.

`Settings.load` reads the environment and a `.env` file beside it (the environment wins), checks
every value and names the variable that is wrong. An unknown `KITT_…` name is an error: a typing
mistake must not silently leave a default in place.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError
from bridge.setting_values import (
    command,
    kind_workers,
    memory_mb,
    micro,
    number,
    on_or_off,
    one_of,
    price,
    seconds,
    url,
    user_ids,
    zone,
)

# name -> (default, what it means); `--help` of bridge and worker, the README and a test use it.
VARIABLES: Final[dict[str, tuple[str, str]]] = {
    "TELEGRAM_BOT_TOKEN": ("", "token of the bot, from @BotFather (the bridge only)"),
    "TELEGRAM_BASE_URL": ("https://api.telegram.org/bot", "Bot API, ends in /bot"),
    "TELEGRAM_BASE_FILE_URL": ("https://api.telegram.org/file/bot", "its files, ends in /file/bot"),
    "ANTHROPIC_API_KEY": ("", "key of the model provider"),
    "ANTHROPIC_BASE_URL": ("", "Messages API of another provider, without /v1"),
    "KITT_PROVIDER": ("", "who that is, where its address does not say: anthropic, openai, …"),
    "KITT_PROFILE": ("./profile", "folder with persona, skills and memory/kitt.db"),
    "KITT_OWNER": ("", "Telegram user ids that may use the bot, comma-separated"),
    "KITT_WORKERS": ("2", "worker processes under `kitt up`"),
    "KITT_WORKER_CONCURRENCY": ("4", "jobs one worker runs at the same time"),
    "KITT_KIND_WORKERS": ("", "kinds with workers of their own, such as browser:1,code:2"),
    "KITT_WORKER_MEMORY_MB": ("512", "a worker with more drains and is started anew; 0 = no limit"),
    "KITT_CHAT_CONCURRENCY": ("6", "jobs of one chat that may run at the same time"),
    "KITT_LEASE_S": ("30", "seconds after which a silent worker's job is taken back"),
    "KITT_KEEP_DAYS": ("90", "days after which ended jobs, handled messages and sent files go"),
    "KITT_KEEP_JOBS": ("1000", "ended jobs of one chat that are kept at most"),
    "KITT_BUDGET_JOB": ("1.00", "US dollars one job with its parts may cost; 0 = no limit"),
    "KITT_BUDGET_USER_DAY": ("5.00", "US dollars one person may use in a day; 0 = no limit"),
    "KITT_BUDGET_DAY": ("10.00", "US dollars everyone may use in a day; 0 = no limit"),
    "KITT_PRICE_UNKNOWN": (
        "2/10",
        "US dollars for a million tokens read/written, in budgets, where no price is known",
    ),
    "KITT_ZONE": ("", "time zone of schedules made in the chat; empty = it asks, or UTC"),
    "KITT_TRANSCRIBER": (
        "",
        "program that prints what is said in {file}; empty = voice is refused",
    ),
    "KITT_TRANSCRIBER_URL": ("", "instead of a program, a service like OpenAI's: http://…/v1"),
    "KITT_TRANSCRIBER_KEY": ("", "key of that service, when it needs one"),
    "KITT_TRANSCRIBER_MODEL": ("whisper-1", "model of that service"),
    "KITT_SEARCH": ("", "search service of the jobs: searxng, brave or tavily; empty = provider's"),
    "KITT_SEARCH_URL": ("", "where it is, without /search; needed for searxng"),
    "KITT_SEARCH_KEY": ("", "its key; needed for brave and tavily"),
    "KITT_BROWSER_SANDBOX": ("on", "off only where the browser says it cannot have one"),
    "KITT_MODEL": ("claude-haiku-5-5", "model that answers in the chat"),
    "KITT_WORKER_MODEL": ("claude-sonnet-5-5", "model that does the jobs"),
    "KITT_FALLBACK_MODEL": ("", "model asked once when one of these refuses or is away"),
}
HARMLESS: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER")
SEARCHES: Final = ("", "searxng", "brave", "tavily")
_FOREIGN_HOSTS = (
    *("deepseek.", "moonshot.", "z.ai", "bigmodel.", "minimax.", "minimaxi."),
    *("openrouter.", "openai.com", "ollama.com"),
)
PROVIDER_NAMES: Final = (
    *("anthropic", "openai", "deepseek", "kimi", "glm", "minimax", "openrouter"),
    *("ollama", "llamacpp", "lmstudio", "vllm"),
)


_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]*_(KEY|TOKEN|SECRET|PASSWORD)")


class Secret:
    """A string that never shows itself: not in repr, not in an f-string, not in a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret(empty)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, checked. Tests build it directly."""

    profile: Path = Path("profile")
    owners: frozenset[int] = frozenset()
    workers: int = 2
    worker_concurrency: int = 4
    kind_workers: Mapping[str, int] = field(default_factory=dict)
    worker_memory_mb: int = 512
    chat_concurrency: int = 6
    lease_s: float = 30.0
    keep_days: int = 90
    keep_jobs: int = 1000
    budget_job_micro: int = 1_000_000
    budget_user_day_micro: int = 5_000_000
    budget_day_micro: int = 10_000_000
    price_unknown_micro: tuple[int, int] = (2_000_000, 10_000_000)
    zone: str = ""
    model: str = VARIABLES["KITT_MODEL"][0]
    worker_model: str = VARIABLES["KITT_WORKER_MODEL"][0]
    fallback_model: str = ""
    provider: str = ""
    transcriber: tuple[str, ...] = ()
    transcriber_url: str = ""
    transcriber_key: Secret = field(default_factory=lambda: Secret(""))
    transcriber_model: str = VARIABLES["KITT_TRANSCRIBER_MODEL"][0]
    search: str = ""
    search_url: str = ""
    search_key: Secret = field(default_factory=lambda: Secret(""))
    browser_sandbox: bool = True
    keys: Mapping[str, Secret] = field(default_factory=dict)  # of others, by name
    telegram_token: Secret = field(default_factory=lambda: Secret(""))
    telegram_base_url: str = VARIABLES["TELEGRAM_BASE_URL"][0]
    telegram_base_file_url: str = VARIABLES["TELEGRAM_BASE_FILE_URL"][0]
    anthropic_key: Secret = field(default_factory=lambda: Secret(""))
    anthropic_base_url: str = ""

    @property
    def memory(self) -> Path:
        """Folder of the database, the jobs' files and the logs."""
        return self.profile / "memory"

    @property
    def database(self) -> Path:
        return self.memory / "kitt.db"

    @property
    def run_dir(self) -> Path:
        """Folder of sockets, locks and pid files."""
        return self.memory / "run"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown or logged."""
        held = (self.telegram_token, self.anthropic_key, self.transcriber_key, self.search_key)
        return tuple(secret.reveal() for secret in (*held, *self.keys.values()))

    @property
    def log_dir(self) -> Path:
        return self.memory / "logs"

    @property
    def jobs_dir(self) -> Path:
        """One folder per job: what it reads and makes."""
        return self.memory / "jobs"

    @property
    def notes_dir(self) -> Path:
        """One file per chat: what is kept of it for good."""
        return self.memory / "notes"

    @property
    def files_dir(self) -> Path:
        """One folder per chat: the files its people sent."""
        return self.memory / "files"

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, *, env_file: Path | None = None
    ) -> "Settings":
        """Read and check all settings.

        `environ` defaults to the process environment, `env_file` to `.env` in the current folder.
        Raises: ConfigError, with the name of the variable and what to do.
        """
        given = dict(os.environ if environ is None else environ)
        values = {
            **read_env_file(env_file or Path(".env")),
            **{k: v for k, v in given.items() if v},
        }
        for name in values:
            if name.startswith("KITT_") and name not in VARIABLES:
                raise ConfigError(
                    f"{name} is not a setting of KITT; known are {', '.join(VARIABLES)}."
                )

        def get(name: str) -> str:
            return values.get(name, "").strip() or VARIABLES[name][0]

        settings = cls(
            profile=Path(get("KITT_PROFILE")).expanduser().absolute(),
            owners=user_ids(get("KITT_OWNER")),
            workers=number("KITT_WORKERS", get("KITT_WORKERS"), low=0, high=64),
            worker_concurrency=number(
                "KITT_WORKER_CONCURRENCY", get("KITT_WORKER_CONCURRENCY"), low=1, high=64
            ),
            kind_workers=kind_workers(get("KITT_KIND_WORKERS")),
            worker_memory_mb=memory_mb(get("KITT_WORKER_MEMORY_MB")),
            chat_concurrency=number(
                "KITT_CHAT_CONCURRENCY", get("KITT_CHAT_CONCURRENCY"), low=1, high=4096
            ),
            lease_s=seconds("KITT_LEASE_S", get("KITT_LEASE_S"), low=1, high=3600),
            keep_days=number("KITT_KEEP_DAYS", get("KITT_KEEP_DAYS"), low=1, high=36_500),
            keep_jobs=number("KITT_KEEP_JOBS", get("KITT_KEEP_JOBS"), low=1, high=1_000_000),
            budget_job_micro=micro("KITT_BUDGET_JOB", get("KITT_BUDGET_JOB")),
            budget_user_day_micro=micro("KITT_BUDGET_USER_DAY", get("KITT_BUDGET_USER_DAY")),
            budget_day_micro=micro("KITT_BUDGET_DAY", get("KITT_BUDGET_DAY")),
            price_unknown_micro=price("KITT_PRICE_UNKNOWN", get("KITT_PRICE_UNKNOWN")),
            zone=zone(get("KITT_ZONE")),
            model=get("KITT_MODEL"),
            worker_model=get("KITT_WORKER_MODEL"),
            fallback_model=get("KITT_FALLBACK_MODEL"),
            provider=one_of("KITT_PROVIDER", get("KITT_PROVIDER"), PROVIDER_NAMES),
            transcriber=command("KITT_TRANSCRIBER", get("KITT_TRANSCRIBER")),
            transcriber_url=url("KITT_TRANSCRIBER_URL", get("KITT_TRANSCRIBER_URL").rstrip("/")),
            transcriber_key=Secret(get("KITT_TRANSCRIBER_KEY")),
            transcriber_model=get("KITT_TRANSCRIBER_MODEL"),
            search=get("KITT_SEARCH"),
            search_url=url("KITT_SEARCH_URL", get("KITT_SEARCH_URL").rstrip("/")),
            search_key=Secret(get("KITT_SEARCH_KEY")),
            browser_sandbox=on_or_off("KITT_BROWSER_SANDBOX", get("KITT_BROWSER_SANDBOX")),
            keys={
                name: Secret(value)
                for name, value in values.items()
                if _KEY_NAME.fullmatch(name) and name not in VARIABLES
            },
            telegram_token=Secret(get("TELEGRAM_BOT_TOKEN")),
            telegram_base_url=url("TELEGRAM_BASE_URL", get("TELEGRAM_BASE_URL"), end="/bot"),
            telegram_base_file_url=url(
                "TELEGRAM_BASE_FILE_URL", get("TELEGRAM_BASE_FILE_URL"), end="/file/bot"
            ),
            anthropic_key=Secret(get("ANTHROPIC_API_KEY")),
            anthropic_base_url=url("ANTHROPIC_BASE_URL", get("ANTHROPIC_BASE_URL"), end=""),
        )
        settings._check_model_names()
        settings._check_search()
        return settings

    def need_token(self) -> str:
        """The bot token. Raises: ConfigError when it is missing or cannot be one."""
        if not self.telegram_token:
            raise ConfigError("TELEGRAM_BOT_TOKEN is not set: run `kitt setup`, or set it in .env.")
        if not re.fullmatch(r"\d{5,}:[A-Za-z0-9_-]{20,}", self.telegram_token.reveal()):
            raise ConfigError(
                "TELEGRAM_BOT_TOKEN does not look like a bot token (123456789:AA…): "
                "copy it again from @BotFather."
            )
        return self.telegram_token.reveal()

    def need_key(self) -> str:
        """The provider's key. Raises: ConfigError when it is missing."""
        if not self.anthropic_key:
            raise ConfigError("ANTHROPIC_API_KEY is not set: run `kitt setup`, or set it in .env.")
        return self.anthropic_key.reveal()

    def _check_search(self) -> None:
        """A service needs its address or its key; without either nothing would be found."""
        if self.search not in SEARCHES:
            raise ConfigError(f"KITT_SEARCH must be searxng, brave or tavily; got {self.search!r}.")
        if self.search == "searxng" and not self.search_url:
            raise ConfigError("KITT_SEARCH is searxng, so KITT_SEARCH_URL must say where it is.")
        if self.search in ("brave", "tavily") and not self.search_key:
            raise ConfigError(f"KITT_SEARCH is {self.search}, so KITT_SEARCH_KEY must be set.")
        if not self.search and (self.search_url or self.search_key):
            raise ConfigError("KITT_SEARCH must say what is at KITT_SEARCH_URL: searxng, brave …")

    def _check_model_names(self) -> None:
        """Some providers map any `claude-…` name to a model of their own without saying so."""
        foreign = any(host in self.anthropic_base_url for host in _FOREIGN_HOSTS)
        if self.provider:
            foreign = self.provider != "anthropic"
        for name, model in (
            ("KITT_MODEL", self.model),
            ("KITT_WORKER_MODEL", self.worker_model),
            ("KITT_FALLBACK_MODEL", self.fallback_model),
        ):
            if foreign and model.startswith("claude-"):
                raise ConfigError(
                    f"{name} is {model}, which this provider does not have: "
                    f"set {name} to one of its own models."
                )


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a private file; empty when there is none.

    Raises: ConfigError when it cannot be read, has a line that is no assignment, or can be read
    by others than its owner.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{path} cannot be read ({reason}): mend it or remove it.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} holds secrets and others can read it: run `chmod 600 {path}`.")
    values: dict[str, str] = {}
    for at, raw in enumerate(text.splitlines(), 1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name.strip()):
            raise ConfigError(f"{path}, line {at}: expected NAME=value.")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name.strip()] = value
    return values


def harmless_environment() -> dict[str, str]:
    """What a foreign program needs of our environment, and no more: it holds no secret."""
    return {name: os.environ[name] for name in HARMLESS if name in os.environ}
