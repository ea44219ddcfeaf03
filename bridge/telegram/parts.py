"""What a delivery is made of: rendered from its rows when its turn comes, kept from then on.

Whoever owes something stores a job's id or parts that are ready; a crash between two parts goes on
with the same ones. A card is made anew each time, because it shows how its job stands now.
"""

import asyncio
import json
from pathlib import Path
from typing import Final, cast

from bridge.clock import Clock
from bridge.models import Delivery, Job
from bridge.preferences import Rich, preferences_of
from bridge.store import Store, Tx
from bridge.telegram import compose, job_card, job_endings, job_view
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import INLINE_CHARS_MAX, Part
from bridge.telegram.file_plan import TOO_LARGE, planned
from bridge.telegram.gate import language_of_chat
from bridge.telegram.job_view import JobView
from bridge.telegram.large_files import large_file_part
from bridge.tools.workspace import Workspace

# One more than is ever rendered: the rest of a longer result is read when it is sent.
RESULT_CHARS: Final = INLINE_CHARS_MAX + 1


_Found = tuple[JobView, list[dict[str, str]], Rich]


class Parts:
    """Makes and keeps the parts of deliveries."""

    def __init__(
        self, *, store: Store, signer: Signer, clock: Clock, chosen: Chosen, jobs_dir: Path
    ) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._chosen = chosen
        self._jobs_dir = jobs_dir

    async def of(self, delivery: Delivery) -> list[Part]:
        """All parts, those already sent too; none when the job it tells of is gone."""
        parts = list(delivery.payload.get("parts", ()))
        if parts and not any(part["do"] == "files" for part in parts):
            return parts
        language = await self._store.read(lambda tx: language_of_chat(tx, delivery.chat_id))
        if parts:
            return await self._kept(delivery, await self._with_files(delivery, parts, language))
        if delivery.kind == "alert":
            return await self._kept(delivery, [compose.alert_part(delivery, language=language)])

        def look(tx: Tx) -> _Found | None:
            row = tx.one("job_to_show", id=delivery.payload["job"], chars=RESULT_CHARS)
            if row is None:  # deleted by hand
                return None
            job = Job.from_row(row)
            files = [dict(file) for file in tx.all("files_to_send", job_id=job.id)]
            steps = job_view.CARD_STEPS if delivery.kind == "failure" else 0
            zone = self._chosen.zone_of_chat(job.chat_id)
            view = job_view.look(tx, job, self._clock.now(), zone=zone, steps=steps)
            return view, files, cast(Rich, preferences_of(tx, delivery.chat_id).rich)

        found = await self._store.read(look)
        if found is None:
            return []
        view, files, rich = found
        if delivery.kind == "card":
            return [job_card.card_part(view, self._signer, language=language)]
        parts = await asyncio.to_thread(
            job_endings.parts,
            delivery.kind,
            view,
            files,
            self._signer,
            language=language,
            rich=rich,
        )
        return await self._kept(delivery, await self._with_files(delivery, parts, language))

    async def _with_files(self, delivery: Delivery, parts: list[Part], language: str) -> list[Part]:
        """The same with a part for each file, photo or album; one too large is a question."""
        made: list[Part] = []
        for part in parts:
            if part["do"] != "files":
                made.append(part)
                continue
            workspace = Workspace(self._jobs_dir / str(part["job"]))
            for file in await asyncio.to_thread(planned, workspace, part["job"], part["files"]):
                if file["do"] == TOO_LARGE:
                    file = large_file_part(file, delivery.chat_id, self._signer, language=language)
                made.append({**file, "of_job": part["of_job"]} if "of_job" in part else file)
        return made

    async def change(self, delivery: Delivery, parts: list[Part], error: str) -> None:
        """Keep other parts than those that were refused; the delivery is tried again."""
        payload = _payload(delivery, parts)

        def again(tx: Tx) -> None:
            tx.run("keep_parts", id=delivery.id, payload=payload)
            tx.run("delivery_waits", id=delivery.id, error=error)

        await self._store.write(again, durable=False)

    async def _kept(self, delivery: Delivery, parts: list[Part]) -> list[Part]:
        payload = _payload(delivery, parts)
        await self._store.write(
            lambda tx: tx.run("keep_parts", id=delivery.id, payload=payload), durable=False
        )
        return parts


def _payload(delivery: Delivery, parts: list[Part]) -> str:
    return json.dumps({**delivery.payload, "parts": parts}, ensure_ascii=False)
