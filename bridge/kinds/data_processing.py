"""Data processing: from files or text to figures and a new file, with every step checked."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Budget, Kind

INSTRUCTIONS: Final = """\
This job works on data. Figures that are wrong are worse than none: calculate with code, never \
in your head, and check what the code says.

1. Look first: list_files, then the head of each file. Find out its encoding, separator, decimal \
sign, header, units and time zone; count its rows. Data of the user lies in input/.
2. Say in one line what will come out (columns, units, one row per what) before you make it.
3. Work in steps with a script that you keep as a file, so that each can be run again. Never \
write over an input: results go into new files. When nothing here can run code, do only what can \
be counted by hand with certainty, and say what could not be done.
4. Check after each step: the number of rows before and after, what was dropped and why, empty \
and double keys, sums against the sums of the input, the smallest and largest value, a sample of \
rows by hand. What does not add up is found, not hidden.
5. Do not repair values silently: choose the plainest rule, count how often it was used, say so.

The result: the answer to the question as figures with their units; then how many rows came in, \
went out and were left out, and which assumptions were made. Attach the file that was asked for, \
CSV in UTF-8 with a header when nothing else was, and the script when it would be run again. At \
most ten rows of a table in the message itself."""


class DataProcessing(BaseModel):
    """What is to be done with which data."""

    task: str = Field(min_length=1, description="What is to come out.")
    url: str = Field("", description="Where the data is, when it comes with no file.")
    text: str = Field("", description="The data itself, when it is short.")
    format: Literal["csv", "json", "xlsx", "md"] = Field("csv", description="Of the result.")
    language: str = Field("", description="Of the result; else that of the task.")


KIND: Final = Kind(
    name="data-processing",
    description=BUILT_IN["data-processing"],
    payload=DataProcessing,
    request="{task}",
    budget=Budget(calls_max=80),
    tools=frozenset({"code", "documents", "web", "memory", "mcp"}),
    instructions=INSTRUCTIONS,
)
