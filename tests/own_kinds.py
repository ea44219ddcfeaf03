"""Kinds of jobs as a person writes them into the profile."""

import sys
from pathlib import Path
from typing import Final

import pytest

from bridge.kinds.registry import GROUP

INVOICE: Final = """
from pydantic import BaseModel, Field

from bridge.kinds import Budget, Done, Failed, Kind, Task


class Invoice(BaseModel):
    customer: str = Field(min_length=1)
    hours: float = Field(gt=0)
    rate: float = 80.0


async def write(task: Task) -> Done:
    invoice = task.payload
    await task.progress(50, "adding up")
    total = invoice.hours * invoice.rate
    if total > 10_000:
        raise Failed("More than 10,000 must be signed by hand.")
    return Done(output=f"{invoice.customer} pays {total:.2f}.", metrics={"total": total})


KIND = Kind(
    name="invoice",
    description="make an invoice",
    payload=Invoice,
    request="Invoice for {customer}",
    priority=3,
    budget=Budget(timeout_s=60),
    handler=write,
)
"""


def write_kind(profile: Path, text: str = INVOICE, *, name: str = "invoice") -> Path:
    """Put a file into its `kinds/`, the invoice when nothing else is said."""
    folder = profile / "kinds"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    path = folder / f"{name}.py"
    path.write_text(text)
    path.chmod(0o644)
    return path


def install_kind(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = INVOICE) -> None:
    """An installed package that offers a kind."""
    site = folder / "site"
    about = site / "bills-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bills\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\ninvoice = bills_of_a_package:KIND\n")
    (site / "bills_of_a_package.py").write_text(text)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "bills_of_a_package", raising=False)
