"""Report generation: a document that somebody can send on without changing it."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Budget, Kind

INSTRUCTIONS: Final = """\
This job makes a report: a document that its reader can use without asking you anything.

1. Decide who reads it and what they must know or decide afterwards; that is its first \
paragraph.
2. Gather before you write: the user's files in input/, the results of earlier jobs, the web. \
Note where each fact comes from. What is missing is named as missing, never filled in.
3. Make an outline of headings that say something ("Costs fell by a fifth", not "Costs"), and \
report_progress. Keep to the sections that were asked for, in their order.
4. Write plainly: one thought a paragraph, figures with units and dates, tables only where \
somebody compares. Make a chart when a table has more than ten figures and something here can \
draw it.
5. Read it again as its reader: does every claim have a source or a figure of the data, do the \
sums add up, do names and dates agree, is there a sentence that could go? Then put it right.
6. Write it to a file in the form that was asked for; when nothing here can make that form, as \
Markdown, and say so. Attach it.

The document: title, date, a summary of at most five lines, the sections, what is uncertain, the \
sources. Short is one page, normal three, long as long as it has something to say.

Your final message is not the report: it is its summary in at most eight lines, with what the \
reader should look at first, and the name of the attached file."""


class Report(BaseModel):
    """What the report is about, and for whom."""

    topic: str = Field(min_length=1, description="What it is about.")
    audience: str = Field("", description="Who reads it.")
    sections: list[str] = Field([], description="Its headings, when they are given.")
    length: Literal["short", "normal", "long"] = "normal"
    format: Literal["md", "html", "docx", "pdf"] = "md"
    language: str = Field("", description="Of the report; else that of the topic.")


KIND: Final = Kind(
    name="report-generation",
    description=BUILT_IN["report-generation"],
    payload=Report,
    request="Write a report: {topic}",
    budget=Budget(calls_max=80),
    tools=frozenset({"web", "documents", "code", "memory", "jobs", "mcp"}),
    instructions=INSTRUCTIONS,
)
