"""`/logs`: the last lines for an owner, without secrets; for others it is no command."""

from chatting import House, Person

STRANGER = 99


def write(house: House, program: str, text: str) -> None:
    house.settings.log_dir.mkdir(parents=True, exist_ok=True)
    (house.settings.log_dir / f"kitt-{program}.log").write_text(text)


async def test_an_owner_sees_the_last_lines_of_every_program(bridge: House, chat: Person) -> None:
    write(bridge, "bridge", "".join(f"line {number}\n" for number in range(100)))
    write(bridge, "worker-1", "it works https://example.com\n")

    shown = await chat.ask("/logs")

    lines = shown.text.split("\n")
    assert lines[:2] == ["── bridge", "line 90"]
    assert lines[-3:] == ["line 99", "── worker-1", "it works https://example.com"]
    assert [entity["type"] for entity in shown.entities] == ["pre"]


async def test_one_program_may_be_named(bridge: House, chat: Person) -> None:
    write(bridge, "bridge", "of the bridge\n")
    write(bridge, "worker-1", "of the worker\n")

    assert (await chat.ask("/logs worker-1")).text == "── worker-1\nof the worker"
    assert (await chat.ask("/logs ../../etc/passwd")).text == (
        "There is no such log. There are: bridge, worker-1."
    )


async def test_no_secret_is_shown(bridge: House, chat: Person) -> None:
    token, key = bridge.settings.telegram_token.reveal(), bridge.settings.anthropic_key.reveal()
    write(bridge, "bridge", f"https://api.telegram.org/bot{token}/getMe {key}\n")

    shown = await chat.ask("/logs")

    assert token not in shown.text
    assert token.partition(":")[2] not in shown.text
    assert key not in shown.text


async def test_lines_are_cut_and_fit_into_one_message(bridge: House, chat: Person) -> None:
    for number in range(1, 9):
        write(bridge, f"worker-{number}", ("x" * 5_000 + "\n") * 50)

    shown = await chat.ask("/logs")

    assert len(shown.text) <= 3_500


async def test_to_anybody_else_it_is_no_command(bridge: House, chat: Person) -> None:
    write(bridge, "bridge", "private\n")
    anna = Person(bridge, chat_id=STRANGER)
    bridge.telegram.open_chat(STRANGER)
    await chat.ask(f"/allow {STRANGER}")
    await anna.sees("You may use this bot now.")

    assert (await anna.ask("/logs")).text.startswith("I do not know /logs")
