"""What a tool tells the model, and what it takes from it."""

from typing import Any

import pytest

from bridge.agent.tool import Tool, ToolFailed, result_block

TOOL = Tool(
    name="book",
    description="Book a table.",
    properties={
        "name": {"type": "string"},
        "people": {"type": "integer"},
        "budget": {"type": "number"},
        "outside": {"type": "boolean"},
        "meal": {"type": "string", "enum": ["lunch", "dinner"]},
    },
)
GIVEN: dict[str, Any] = {
    "name": "Anna",
    "people": 4,
    "budget": 99.5,
    "outside": False,
    "meal": "lunch",
}


def test_every_property_is_required_and_no_other_allowed() -> None:
    api = TOOL.to_api()

    assert api["input_schema"] == {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "people", "budget", "outside", "meal"],
        "properties": TOOL.properties,
    }
    assert (api["name"], api["description"], api["strict"]) == ("book", "Book a table.", True)


def test_input_that_fits_is_given_back() -> None:
    assert TOOL.check(GIVEN) == GIVEN


def test_whole_number_is_a_number() -> None:
    assert TOOL.check({**GIVEN, "budget": 100})["budget"] == 100


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("Anna", "The input must be a JSON object."),
        (None, "The input must be a JSON object."),
        ([GIVEN], "The input must be a JSON object."),
        ({}, "name is missing."),
        ({**GIVEN, "name": 4}, "name must be of type string."),
        ({**GIVEN, "name": None}, "name must be of type string."),
        ({**GIVEN, "people": "4"}, "people must be of type integer."),
        ({**GIVEN, "people": 4.5}, "people must be of type integer."),
        ({**GIVEN, "people": True}, "people must be of type integer."),
        ({**GIVEN, "budget": False}, "budget must be of type number."),
        ({**GIVEN, "outside": 1}, "outside must be of type boolean."),
        ({**GIVEN, "meal": "brunch"}, "meal must be one of lunch, dinner."),
    ],
)
def test_input_that_does_not_fit_is_refused_with_what_is_wrong(
    given: object, sentence: str
) -> None:
    with pytest.raises(ToolFailed) as raised:
        TOOL.check(given)

    assert str(raised.value) == sentence


def test_result_names_its_call() -> None:
    assert result_block("toolu_1", "done") == {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": "done",
    }


def test_only_a_failure_is_marked_as_an_error() -> None:
    assert result_block("toolu_1", "no", is_error=True)["is_error"] is True
    assert "is_error" not in result_block("toolu_1", "yes")


def test_what_is_optional_may_be_left_out_and_must_fit_when_it_is_there() -> None:
    tool = Tool(
        name="order",
        description="Order.",
        properties={"dish": {"type": "string"}, "extras": {"type": "array"}},
        optional=("extras",),
    )

    assert tool.to_api()["input_schema"]["required"] == ["dish"]
    assert tool.check({"dish": "soup"}) == {"dish": "soup"}
    assert tool.check({"dish": "soup", "extras": ["bread"]})["extras"] == ["bread"]
    with pytest.raises(ToolFailed, match="extras must be of type array"):
        tool.check({"dish": "soup", "extras": "bread"})
