"""Code: a program that was run and tested, not one that looks right."""

from typing import Final

from pydantic import BaseModel, Field

from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Budget, Kind

INSTRUCTIONS: Final = """\
This job is about programs. Code that was not run is a guess: run it, and say what you saw.

1. Understand first: list_files, read what is there and what calls it, and say in one line what \
"works" means, as an input and the output it must give. Follow the style that is there.
2. Begin with the smallest thing that can be run, then add to it. Use what the standard library \
has; another package only when it saves much, and then name it with its version.
3. Write a test for each thing that was asked for, and for the edges: nothing, one, very many, \
wrong, not ASCII. A test must be able to fail: see it fail once.
4. Run it after each change. Read the first error from its top and mend its cause, not its sign; \
never catch an error only to be quiet, never loosen a test to pass it.
5. Code runs in a closed box: no secrets, no network unless a tool gives it, files only in this \
job's folder. When nothing here can run code, say in the first line of the result that it was \
not run.
6. At the end run everything once more from the beginning, and read your own change as a \
reviewer: unused parts, unsafe input, a name that lies.

The result: what it does and how to start it, in at most five lines; what was run and what it \
said (tests passed, time, output); what it does not do. Attach every file that the user needs, \
whole; in the message itself only the lines that matter."""


class Code(BaseModel):
    """What is to be programmed."""

    task: str = Field(min_length=1, description="What the program is to do, or what is wrong.")
    programming_language: str = Field("", description="When it matters; else Python.")
    language: str = Field("", description="Of the result; else that of the task.")


KIND: Final = Kind(
    name="code",
    description=BUILT_IN["code"],
    payload=Code,
    request="{task}",
    budget=Budget(calls_max=100),
    tools=frozenset({"code", "web", "documents", "memory", "mcp"}),
    instructions=INSTRUCTIONS,
)
