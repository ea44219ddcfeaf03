"""The data of a job: what fits its kind, and the sentence for what does not."""

from pathlib import Path

import pytest
from own_kinds import INVOICE, write_kind

from bridge.errors import KindRefused
from bridge.kinds.kind import Kind
from bridge.kinds.payload import checked, request_of, shown, takes
from bridge.kinds.registry import Kinds

TAKES = (
    "kind research takes topic (text), depth (1 to 3; else 2), language (text; optional), "
    "questions (list of text; optional)."
)
FILES = '"kitt_files": [{"file": "9-a.csv"}]'


@pytest.fixture
def research(tmp_path: Path) -> Kind:
    kind = Kinds(tmp_path).find("research")
    assert kind is not None
    return kind


@pytest.fixture
def invoice(tmp_path: Path) -> Kind:
    write_kind(tmp_path)
    kind = Kinds(tmp_path).find("invoice")
    assert kind is not None
    return kind


def refusal(kind: Kind, data: str | None) -> str:
    with pytest.raises(KindRefused) as refused:
        checked(kind, data)
    return str(refused.value)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("{}", "topic is missing"),
        ('{"depth": 2}', "topic is missing"),
        ('{"topic": ""}', "topic is empty"),
        ('{"topic": 3}', "topic must be text"),
        ('{"topic": "x", "depth": 4}', "depth must be at most 3"),
        ('{"topic": "x", "depth": 0}', "depth must be at least 1"),
        ('{"topic": "x", "depth": "deep"}', "depth must be a whole number"),
        ('{"topic": "x", "questions": "why"}', "questions must be a list"),
        ('{"topic": "x", "questions": [1]}', "questions.0 must be text"),
        ('{"topic": "x", "colour": "red"}', "colour is not known"),
        ('{"depth": 9, "colour": 1}', "topic is missing, depth must be at most 3, colour is not"),
        ("[1]", "it must be a JSON object"),
        ('"e-bikes"', "it must be a JSON object"),
        ("{", "its data is no JSON"),
    ],
)
def test_what_does_not_fit_is_told_by_its_name_with_all_that_fits(
    research: Kind, data: str, problem: str
) -> None:
    said = refusal(research, data)

    assert said.startswith(problem)
    assert said.endswith(f"; {TAKES}")


def test_no_value_is_repeated(research: Kind) -> None:
    assert "hunter2" not in refusal(research, '{"topic": 1, "depth": "hunter2"}')


def test_what_fits_has_the_values_that_nobody_gave(research: Kind) -> None:
    payload = checked(research, '{"topic": "e-bikes"}')

    assert payload is not None
    assert payload.model_dump() == {
        "topic": "e-bikes",
        "depth": 2,
        "language": "",
        "questions": [],
    }


@pytest.mark.parametrize("data", [None, "null", f"{{{FILES}}}"])
def test_an_agent_can_work_from_its_prompt_alone(research: Kind, data: str | None) -> None:
    assert checked(research, data) is None


@pytest.mark.parametrize("data", [None, f"{{{FILES}}}"])
def test_plain_python_cannot(invoice: Kind, data: str | None) -> None:
    assert refusal(invoice, data).startswith("customer is missing, hours is missing; kind invoice")


def test_files_of_a_person_are_no_part_of_the_payload(research: Kind) -> None:
    data = f'{{"topic": "bikes", {FILES}}}'

    payload = checked(research, data)

    assert payload is not None
    assert "kitt_files" not in shown(data, payload)
    assert shown(data, None) == '{"topic": "bikes"}'
    assert shown(f"{{{FILES}}}", None) == ""


def test_an_unknown_kind_shows_its_data_as_it_is() -> None:
    assert shown('{"n":  3}', None) == '{"n":  3}'


def test_data_alone_makes_a_request(research: Kind, invoice: Kind) -> None:
    bikes = checked(research, '{"topic": "e-bikes"}')
    bill = checked(invoice, '{"customer": "Jansen {hours}", "hours": 2}')

    assert bikes is not None and request_of(research, bikes) == "Research: e-bikes"
    assert bill is not None and request_of(invoice, bill) == "Invoice for Jansen {hours}"


@pytest.mark.parametrize("request_text", ["", "{nobody}", "{customer.secret}", "{"])
def test_a_request_that_cannot_be_made_names_kind_and_data(
    tmp_path: Path, request_text: str
) -> None:
    text = INVOICE.replace("Invoice for {customer}", request_text)
    write_kind(tmp_path, text)
    kind = Kinds(tmp_path).find("invoice")
    assert kind is not None
    payload = checked(kind, '{"customer": "Jansen", "hours": 2}')

    assert payload is not None
    assert request_of(kind, payload).startswith('invoice: {"customer":"Jansen","hours":2.0')


def test_every_sort_of_field_has_words(tmp_path: Path) -> None:
    text = """
from typing import Literal
from pydantic import BaseModel, Field
from bridge.kinds import Kind

class Colour(BaseModel):
    name: str

class Everything(BaseModel):
    size: Literal["s", "m"]
    colour: Colour
    price: float | None = None
    many: int = Field(5, ge=1)
    at_once: bool = True
    extra: dict[str, int] = {}

KIND = Kind(name="invoice", description="x", payload=Everything)
"""
    write_kind(tmp_path, text)
    kind = Kinds(tmp_path).find("invoice")

    assert kind is not None
    assert takes(kind) == (
        "kind invoice takes size (s or m), colour (object), price (number; optional), "
        "many (whole number from 1; else 5), at_once (true or false; else True), "
        "extra (object; optional)."
    )
