"""What a job leaves for whoever looks later: a summary, its output, its files, what it took.

`jobs.result` is what the user was shown. Summary and metrics are kept beside it, in the commit that
ends the job, however it ends.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from bridge.conversation import job_conversation
from bridge.models import Job, clean_text, short
from bridge.store import Tx

SUMMARY_CHARS_MAX: Final = 500
_MARKS: Final = re.compile(r"[*`]|^[>\-+] |(?<=\])\([^)]*\)|[\[\]]|__", re.MULTILINE)
_NO_WORDS: Final = ("#", "```", "|", "---", "***")  # begins a paragraph that says nothing by itself


def keep(
    tx: Tx, job: Job, *, summary: str = "", metrics: Mapping[str, float] | None = None
) -> None:
    """Write down how a job has done that has just ended; done again it adds what was said."""
    tx.run(
        "keep_result",
        job_id=job.id,
        conversation=job_conversation(job.id),
        summary=short(clean_text(summary), SUMMARY_CHARS_MAX),
        metrics=json.dumps(dict(metrics or {})),
    )


def of_job(tx: Tx, job: Job) -> dict[str, Any]:
    """`summary`, `output`, `artifacts` and `metrics` of a job, as far as there are any."""
    row = tx.one("kept_result", job_id=job.id)
    return {
        "summary": summary_of(tx, job),
        "output": job.result,
        "artifacts": [dict(file) for file in tx.all("files_of", job_id=job.id)],
        "metrics": json.loads(row["metrics"]) if row is not None and job.status.final else {},
    }


def summary_of(tx: Tx, job: Job) -> str:
    """What it said of its result itself, else the first words of it."""
    row = tx.one("kept_result", job_id=job.id) if job.result else None
    said = row["summary"] if row is not None else ""
    return said or first_words(job.result or "")


def first_words(result: str) -> str:
    """The first paragraph that says something, as plain text on one line."""
    for paragraph in re.split(r"\n\s*\n", result[:20_000]):
        text = paragraph.strip()
        if text and not text.startswith(_NO_WORDS):
            return short(_MARKS.sub("", text), SUMMARY_CHARS_MAX)
    return ""
