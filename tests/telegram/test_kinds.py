"""A person's own kinds of jobs, chosen in the chat."""

from chatting import House, Person
from own_kinds import write_kind

from bridge.emulator.script import Reply, Request, ToolUse

BILL = '{"customer": "Jansen", "hours": 2}'


def bill(data: str) -> ToolUse:
    return ToolUse(
        "start_background_job",
        {
            "acknowledgement": "I write it.",
            "title": "Invoice",
            "instructions": "An invoice for Jansen, two hours.",
            "kind": "invoice",
            "priority": "normal",
            "data": data,
        },
    )


async def test_a_kind_of_the_profile_is_started_from_the_chat_with_its_data(
    house: House, chat: Person
) -> None:
    write_kind(house.settings.profile)
    await house.start()

    def order(request: Request) -> Reply | None:
        wrong = not request.all_tool_results  # first without what it needs
        return Reply([bill("{}" if wrong else BILL)])

    house.claude.script.rules.insert(0, order)

    await chat.ask("Bill Jansen for two hours")
    await chat.sees("Invoice")

    first, second = house.asked()
    assert "invoice: make an invoice" in str(first.body["tools"])
    assert "customer is missing, hours is missing; kind invoice takes" in str(second.body)
    (job,) = house.rows("SELECT kind, data, priority FROM jobs")
    assert job == {"kind": "invoice", "data": BILL, "priority": 3}


async def test_a_broken_kind_does_not_keep_the_bridge_from_its_chats(
    house: House, chat: Person
) -> None:
    write_kind(house.settings.profile, "raise SystemExit(3)")
    await house.start()

    answer = await chat.ask("What is 17 * 23?")

    assert "391" in answer.text
    assert "invoice" not in str(house.asked()[0].body["tools"])
