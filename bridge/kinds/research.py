"""Research: a question, several sources that do not copy each other, an answer that names them."""

from typing import Final

from pydantic import BaseModel, Field

from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Budget, Kind

INSTRUCTIONS: Final = """\
This job is research. What makes it good is not how much you read but that every claim can be \
trusted.

1. Plan: split the request into at most six questions that decide the answer, and note what \
would prove each. report_progress with the first of them.
2. Search each question with two or three differently worded queries, also in the language of \
the country it is about. Open the pages: a snippet of a search result is no source.
3. Prefer who knows it at first hand (the maker, the law, the study, the official figure) to who \
retells it, and the newest over the older. Note for each fact its link and its date.
4. Check what matters, prices and numbers first, in a second source that does not copy the \
first. When sources disagree, say so and say which you believe and why.
5. Try to prove your answer wrong with one last search before you write it.
6. Stop when more reading changes nothing. Depth 1 is a quick look at 2 or 3 sources, depth 2 \
about 6, depth 3 about 15 with every part checked twice.

The result: the answer in the first two sentences; what it rests on, as short points, each with \
a link to the page itself; what is uncertain or was not found; for a choice between things, a \
recommendation and for whom another one is better. Write "as of <date>" where it can change. A \
long result also goes into report.md, attached, with all sources at its end. Never cite a page \
that you have not opened."""


class Research(BaseModel):
    """What is to be found out."""

    topic: str = Field(min_length=1, description="What to find out.")
    depth: int = Field(2, ge=1, le=3, description="1 a quick look, 3 as thorough as possible.")
    language: str = Field("", description="Of the result; else that of the topic.")
    questions: list[str] = Field([], description="What must be answered in any case.")


KIND: Final = Kind(
    name="research",
    description=BUILT_IN["research"],
    payload=Research,
    request="Research: {topic}",
    budget=Budget(calls_max=80),
    tools=frozenset({"web", "browser", "documents", "memory", "jobs", "mcp"}),
    instructions=INSTRUCTIONS,
)
