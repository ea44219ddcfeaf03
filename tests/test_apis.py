"""profile/apis.toml: what an owner may write there, and the one sentence about what is wrong."""

from pathlib import Path

import pytest

from bridge.apis import read_apis
from bridge.errors import ConfigError
from bridge.settings import Secret, Settings

WHOLE = """
[home]
address = "http://192.168.1.5:8123/api/"
about = "Home Assistant: lights"
methods = ["POST", "GET"]
key = "HOME_KEY"

[weather]
address = "https://api.weather.test"
key = "WEATHER_TOKEN"
header = "X-Key"
form = "{key}"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    keys = {"HOME_KEY": Secret("home-secret-1"), "WEATHER_TOKEN": Secret("weather-secret-1")}
    keys["ODD_KEY"] = Secret("sécret")
    return Settings(profile=tmp_path, keys=keys)


def write(settings: Settings, text: str) -> None:
    (settings.profile / "apis.toml").write_text(text, encoding="utf-8")


def test_without_the_file_there_are_none(settings: Settings) -> None:
    assert read_apis(settings) == []


def test_everything_in_the_file_is_read(settings: Settings) -> None:
    write(settings, WHOLE)

    home, weather = read_apis(settings)

    assert (home.name, home.address, home.inside) == ("home", "http://192.168.1.5:8123/api", True)
    assert (home.methods, home.about) == (("GET", "POST"), "Home Assistant: lights")
    assert home.headers == {"Authorization": "Bearer home-secret-1"}
    assert (weather.methods, weather.inside) == (("GET",), False)
    assert weather.headers == {"X-Key": "weather-secret-1"}
    assert "secret-1" not in repr([home, weather])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("home", "cannot be read"),
        ("x = 1", r"\[x\]: an API is a table"),
        ("[Home]\naddress = 'https://a.test'", "an API is a table named with a-z"),
        ("[a]", "address: Only http and https"),
        ("[a]\naddress = 'ftp://a.test'", "address: Only http and https"),
        ("[a]\naddress = 'https://u:p@a.test'", "name or password"),
        ("[a]\naddress = 'https://a.test/?x=1'", "without [?] and #"),
        ("[a]\naddress = 'https://a.test'\nmethods = ['CONNECT']", "methods must be a list of GET"),
        ("[a]\naddress = 'https://a.test'\nmethods = 'GET'", "methods must be a list of GET"),
        ("[a]\naddress = 'https://a.test'\nkeys = 'X'", "keys is not known here"),
        ("[a]\naddress = 'https://a.test'\nkey = 'NO_KEY'", "NO_KEY, which is not set"),
        ("[a]\naddress = 'http://a.test'\nkey = 'HOME_KEY'", "by https only"),
        ("[a]\naddress = 'http://93.184.216.34'\nkey = 'HOME_KEY'", "by https only"),
        ("[a]\naddress = 'https://a.test'\nkey = 'ODD_KEY'", "which holds what no header can hold"),
        ("[a]\naddress = 'https://a.test'\nform = '→ {key}'", "form must hold {key}"),
        ("[a]\naddress = 'https://a.test'\nheader = 'Host'", "header must be"),
        ("[a]\naddress = 'https://a.test'\nheader = 'a b'", "header must be"),
        ("[a]\naddress = 'https://a.test'\nform = 'Bearer'", "form must hold {key}"),
        ("[a]\naddress = 'https://a.test'\nabout = \"a\\nb\"", "text on one line"),
    ],
)
def test_what_is_wrong_is_one_sentence(settings: Settings, text: str, said: str) -> None:
    write(settings, text)

    with pytest.raises(ConfigError, match=said) as caught:
        read_apis(settings)

    assert str(caught.value).startswith(str(settings.profile / "apis.toml"))
    assert "\n" not in str(caught.value)


def test_keys_of_others_are_read_by_their_names_and_kept_secret(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HOME_KEY=home-secret-1\nEDITOR=vi\n")
    file.chmod(0o600)

    settings = Settings.load({"GRAFANA_TOKEN": "glsa-1"}, env_file=file)

    assert {name: key.reveal() for name, key in settings.keys.items()} == {
        "HOME_KEY": "home-secret-1",
        "GRAFANA_TOKEN": "glsa-1",
    }
    assert {"home-secret-1", "glsa-1"} <= set(settings.secrets)
    assert "glsa-1" not in repr(settings)
