"""Settings: defaults, the environment before the file, and sentences that name what is wrong."""

import traceback
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.settings import VARIABLES, Secret, Settings, read_env_file

TOKEN = "123456789:AAExampleExampleExampleExample12345"


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """A private, empty `.env`."""
    path = tmp_path / ".env"
    path.touch(mode=0o600)
    return path


def test_empty_environment_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = Settings.load({}, env_file=tmp_path / ".env")

    assert settings.workers == int(VARIABLES["KITT_WORKERS"][0])
    assert settings.lease_s == float(VARIABLES["KITT_LEASE_S"][0])
    assert settings.worker_concurrency == int(VARIABLES["KITT_WORKER_CONCURRENCY"][0])
    assert settings.model == VARIABLES["KITT_MODEL"][0]
    assert settings.telegram_base_url == VARIABLES["TELEGRAM_BASE_URL"][0]
    assert settings.owners == frozenset()


def test_settings_built_directly_equal_the_defaults_of_the_environment(tmp_path: Path) -> None:
    loaded = Settings.load({}, env_file=tmp_path / ".env")

    built = Settings()

    for name in ("workers", "worker_concurrency", "lease_s", "model", "worker_model"):
        assert getattr(built, name) == getattr(loaded, name)
    assert built.telegram_base_file_url == loaded.telegram_base_file_url


def test_the_process_environment_is_read_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch, env_file: Path
) -> None:
    monkeypatch.setenv("KITT_WORKERS", "7")

    settings = Settings.load(env_file=env_file)

    assert settings.workers == 7


def test_env_file_lies_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, env_file: Path
) -> None:
    env_file.write_text("KITT_WORKERS=5\n")
    monkeypatch.chdir(env_file.parent)

    settings = Settings.load({})

    assert settings.workers == 5


def test_every_value_is_read_from_the_environment(tmp_path: Path) -> None:
    environ = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_BASE_URL": "http://127.0.0.1:8081/bot",
        "TELEGRAM_BASE_FILE_URL": "http://127.0.0.1:8081/file/bot",
        "ANTHROPIC_API_KEY": "sk-example",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8082",
        "KITT_PROFILE": str(tmp_path / "me"),
        "KITT_OWNER": "12, 34,",
        "KITT_WORKERS": "3",
        "KITT_WORKER_CONCURRENCY": "8",
        "KITT_KIND_WORKERS": "browser:1, code:12,",
        "KITT_CHAT_CONCURRENCY": "5",
        "KITT_WORKER_MEMORY_MB": "300",
        "KITT_KEEP_DAYS": "30",
        "KITT_KEEP_JOBS": "200",
        "KITT_BUDGET_JOB": "0.25",
        "KITT_BUDGET_USER_DAY": "0",
        "KITT_BUDGET_DAY": "3",
        "KITT_PRICE_UNKNOWN": "0/0",
        "KITT_ZONE": "Europe/Amsterdam",
        "KITT_LEASE_S": "2.5",
        "KITT_TRANSCRIBER": "hear -m 'a b' {file}",
        "KITT_TRANSCRIBER_URL": "http://127.0.0.1:8083/v1/",
        "KITT_TRANSCRIBER_KEY": "k1",
        "KITT_TRANSCRIBER_MODEL": "large-1",
        "KITT_BROWSER_SANDBOX": "off",
        "KITT_SEARCH": "searxng",
        "KITT_SEARCH_URL": "http://127.0.0.1:8888/",
        "KITT_SEARCH_KEY": "k2",
        "KITT_MODEL": "fast-1",
        "KITT_WORKER_MODEL": "deep-1",
        "KITT_FALLBACK_MODEL": "plain-1",
        "KITT_PROVIDER": "ollama",
    }

    settings = Settings.load(environ, env_file=tmp_path / ".env")

    assert set(environ) == set(VARIABLES)
    assert settings.need_token() == TOKEN
    assert settings.telegram_base_url == "http://127.0.0.1:8081/bot"
    assert settings.telegram_base_file_url == "http://127.0.0.1:8081/file/bot"
    assert settings.need_key() == "sk-example"
    assert settings.anthropic_base_url == "http://127.0.0.1:8082"
    assert settings.database == tmp_path / "me" / "memory" / "kitt.db"
    assert settings.owners == {12, 34}
    assert (settings.workers, settings.worker_concurrency, settings.lease_s) == (3, 8, 2.5)
    assert (settings.model, settings.worker_model) == ("fast-1", "deep-1")
    assert settings.kind_workers == {"browser": 1, "code": 12}
    assert settings.worker_memory_mb == 300
    assert settings.chat_concurrency == 5
    assert settings.zone == "Europe/Amsterdam"
    assert settings.transcriber == ("hear", "-m", "a b", "{file}")
    assert settings.transcriber_url == "http://127.0.0.1:8083/v1"
    assert settings.transcriber_key.reveal() == "k1"
    assert settings.transcriber_model == "large-1"
    assert (settings.search, settings.search_url) == ("searxng", "http://127.0.0.1:8888")
    assert settings.search_key.reveal() == "k2"
    assert not settings.browser_sandbox
    assert "k2" in settings.secrets


def test_environment_wins_over_the_file(env_file: Path) -> None:
    env_file.write_text("KITT_WORKERS=5\nKITT_LEASE_S=60\n")

    settings = Settings.load({"KITT_WORKERS": "6"}, env_file=env_file)

    assert (settings.workers, settings.lease_s) == (6, 60.0)


def test_empty_variable_of_the_environment_leaves_the_file_in_place(env_file: Path) -> None:
    env_file.write_text("KITT_WORKERS=5\n")

    settings = Settings.load({"KITT_WORKERS": ""}, env_file=env_file)

    assert settings.workers == 5


@pytest.mark.parametrize("place", ["environment", "file"])
def test_unknown_kitt_name_is_an_error_that_names_it(env_file: Path, place: str) -> None:
    if place == "file":
        env_file.write_text("KITT_WORKER=3\n")
    environ = {"KITT_WORKER": "3"} if place == "environment" else {}

    with pytest.raises(ConfigError, match="KITT_WORKER is not a setting") as caught:
        Settings.load(environ, env_file=env_file)

    assert "KITT_WORKERS" in str(caught.value)
    assert caught.value.exit_code == 78


def test_names_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    settings = Settings.load({"KITTEN": "1", "PATH": "/bin"}, env_file=tmp_path / ".env")

    assert settings.workers == 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("KITT_BUDGET_DAY", "-1", "must be US dollars such as 2.50, or 0; got '-1'"),
        ("KITT_BUDGET_JOB", "one", "must be US dollars"),
        ("KITT_PRICE_UNKNOWN", "3", "two prices such as 2/10"),
        ("KITT_PRICE_UNKNOWN", "3/x", "must be US dollars"),
        ("KITT_ZONE", "Mars", "a time zone such as Europe/Amsterdam or UTC; got 'Mars'"),
        ("KITT_ZONE", "../etc", "a time zone such as"),
        ("KITT_WORKERS", "two", "whole number from 0 to 64; got 'two'"),
        ("KITT_WORKERS", "65", "whole number from 0 to 64"),
        ("KITT_WORKERS", "-1", "whole number from 0 to 64"),
        ("KITT_WORKERS", "1.5", "whole number"),
        ("KITT_WORKER_CONCURRENCY", "0", "from 1 to 64"),
        *(
            ("KITT_KIND_WORKERS", value, f"such as browser:1,code:2; got {value!r}")
            for value in ("browser", "browser:0", "browser:65", "Web:1", "1:1", "a:1,a:2", "a=1")
        ),
        ("KITT_WORKER_MEMORY_MB", "-1", "whole number from 0"),
        ("KITT_WORKER_MEMORY_MB", "127", "must be 0 (no limit) or at least 128"),
        ("KITT_LEASE_S", "0.5", "seconds from 1 to 3600"),
        ("KITT_LEASE_S", "nan", "seconds from 1 to 3600"),
        ("KITT_LEASE_S", "inf", "seconds from 1 to 3600"),
        ("KITT_LEASE_S", "half", "got 'half'"),
        ("KITT_OWNER", "@someone", "numbers separated by commas"),
        ("KITT_OWNER", "12;34", "numbers separated by commas"),
        ("KITT_OWNER", "-100123", "numbers separated by commas"),
        ("TELEGRAM_BASE_URL", "https://api.telegram.org", "must end in /bot"),
        ("TELEGRAM_BASE_URL", "api.telegram.org/bot", "http or https"),
        ("TELEGRAM_BASE_FILE_URL", "https://api.telegram.org/bot", "must end in /file/bot"),
        ("ANTHROPIC_BASE_URL", "api.example.com", "http or https"),
        ("ANTHROPIC_BASE_URL", "https://api.example.com/v1/", "without /v1"),
    ],
)
def test_wrong_value_is_an_error_that_names_the_variable(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load({name: value}, env_file=tmp_path / ".env")

    assert str(caught.value).startswith(name)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("host", ["api.deepseek.com", "api.moonshot.ai", "api.z.ai"])
def test_claude_model_at_a_provider_that_has_none_is_refused(tmp_path: Path, host: str) -> None:
    environ = {"ANTHROPIC_BASE_URL": f"https://{host}/anthropic", "KITT_MODEL": "other-1"}

    with pytest.raises(ConfigError, match=r"^KITT_WORKER_MODEL is claude-"):
        Settings.load(environ, env_file=tmp_path / ".env")


def test_own_models_of_another_provider_are_accepted(tmp_path: Path) -> None:
    environ = {
        "ANTHROPIC_BASE_URL": "https://api.deepseek.com/anthropic",
        "KITT_MODEL": "deepseek-chat",
        "KITT_WORKER_MODEL": "deepseek-chat",
    }

    settings = Settings.load(environ, env_file=tmp_path / ".env")

    assert settings.worker_model == "deepseek-chat"


def test_missing_token_and_key_say_how_to_set_them() -> None:
    settings = Settings()

    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN is not set: run `kitt setup`"):
        settings.need_token()
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY is not set: run `kitt setup`"):
        settings.need_key()


@pytest.mark.parametrize("token", ["abc", "12:short", f"{TOKEN} ", f"x{TOKEN}", TOKEN[:20]])
def test_what_cannot_be_a_token_is_refused_without_showing_it(token: str) -> None:
    settings = Settings(telegram_token=Secret(token))

    with pytest.raises(ConfigError, match="does not look like a bot token") as caught:
        settings.need_token()

    assert token not in str(caught.value)


def test_secret_shows_itself_nowhere() -> None:
    settings = Settings(telegram_token=Secret(TOKEN), anthropic_key=Secret("sk-example"))

    shown = f"{settings} {settings!r} {settings.telegram_token} {settings.anthropic_key!s:>20}"

    assert TOKEN not in shown
    assert "sk-example" not in shown


def test_secret_shows_itself_in_no_traceback() -> None:
    secret = Secret(TOKEN)

    try:
        raise ConfigError(f"broken: {secret}")
    except ConfigError as error:
        told = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )

    assert "Secret(…)" in told
    assert TOKEN not in told


def test_secret_is_true_only_when_it_holds_something() -> None:
    assert Secret("x")
    assert not Secret("")
    assert repr(Secret("")) == "Secret(empty)"


def test_relative_profile_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.load({"KITT_PROFILE": "me"})

    assert settings.profile == tmp_path / "me"
    assert settings.run_dir == tmp_path / "me" / "memory" / "run"
    assert settings.log_dir == tmp_path / "me" / "memory" / "logs"
    assert settings.jobs_dir == tmp_path / "me" / "memory" / "jobs"


def test_env_file_takes_comments_quotes_and_export(env_file: Path) -> None:
    env_file.write_text(
        "# mine\n\nKITT_MODEL = fast-1\nexport KITT_OWNER='12'\n"
        'ANTHROPIC_API_KEY="a=b#c"\nKITT_WORKERS=\n'
    )

    values = read_env_file(env_file)

    assert values == {
        "KITT_MODEL": "fast-1",
        "KITT_OWNER": "12",
        "ANTHROPIC_API_KEY": "a=b#c",
        "KITT_WORKERS": "",
    }


def test_missing_env_file_is_no_error(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / "no" / ".env") == {}


@pytest.mark.parametrize("line", ["just words", "lower=1", "=1", "1A=2"])
def test_line_that_is_no_assignment_is_named_by_its_number(env_file: Path, line: str) -> None:
    env_file.write_text(f"KITT_WORKERS=2\n{line}\n")

    with pytest.raises(ConfigError, match="line 2: expected NAME=value"):
        read_env_file(env_file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_env_file_others_can_read_is_refused(env_file: Path, mode: int) -> None:
    env_file.chmod(mode)

    with pytest.raises(ConfigError, match="run `chmod 600"):
        read_env_file(env_file)


def test_env_file_that_is_no_text_says_so(env_file: Path) -> None:
    env_file.write_bytes(b"KITT_MODEL=\xff\xfe")

    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read_env_file(env_file)


def test_env_file_that_is_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_env_file(tmp_path)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KITT_SEARCH": "altavista"}, "KITT_SEARCH must be searxng, brave or tavily"),
        ({"KITT_SEARCH": "searxng"}, "KITT_SEARCH_URL"),
        ({"KITT_SEARCH": "brave"}, "KITT_SEARCH_KEY"),
        ({"KITT_SEARCH": "tavily"}, "KITT_SEARCH_KEY"),
        ({"KITT_SEARCH_URL": "http://127.0.0.1:8888"}, "KITT_SEARCH must say"),
    ],
)
def test_search_that_cannot_work_is_refused_by_name(
    env_file: Path, given: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        Settings.load(given, env_file=env_file)
