"""Turns speech into text, by a program of the owner's choice or by a web service. Off without one.

The program is started without a shell, in a process group of its own, without any secret in its
environment, and is killed as a group when it takes too long, says too much, or is not wanted any
more. The service is asked as OpenAI's transcriptions are. What comes back is what somebody said:
data, never an instruction.
"""

import asyncio
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bridge.errors import KittError
from bridge.models import clean_text
from bridge.settings import Secret, Settings, harmless_environment

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)
LIMIT_S: Final = 300.0  # about ten minutes of speech on a small machine
OUTPUT_BYTES_MAX: Final = 200_000  # four hours of speech
ERRORS_BYTES_MAX: Final = 4_000
FILE_MARK: Final = "{file}"  # in a command: where the path goes; at its end without one
REACHED_WITHIN_S: Final = 2.0
_TIMES: Final = re.compile(r"^\s*\[[\d:.,]+ --> [\d:.,]+\]\s*", re.MULTILINE)


class NotTranscribed(KittError):
    """There is no text; `reason` is failed, too_long or silent."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Transcriber(Protocol):
    """Whatever turns a sound file into text."""

    async def transcribe(self, path: Path) -> str:
        """What is said in the file, on one line or more. Raises: NotTranscribed."""

    async def close(self) -> None:
        """Let go of its connections."""

    async def problem(self) -> str:
        """A sentence about what is wrong with it; empty when it can be used."""


def transcriber_of(settings: Settings, *, limit_s: float = LIMIT_S) -> Transcriber | None:
    """The one that is set, or None."""
    if settings.transcriber:
        return Program(settings.transcriber, environment=harmless_environment(), limit_s=limit_s)
    if settings.transcriber_url:
        return Service(
            settings.transcriber_url,
            key=settings.transcriber_key,
            model=settings.transcriber_model,
            limit_s=limit_s,
        )
    return None


class Program:
    """A command that gets the path of a file and prints the text."""

    def __init__(
        self, command: tuple[str, ...], *, environment: Mapping[str, str], limit_s: float = LIMIT_S
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._limit_s = limit_s

    async def transcribe(self, path: Path) -> str:
        """Run it once. Cancelling this kills it and everything it started."""
        try:
            process = await self._started(path)
        except OSError as error:
            text = f"{self._command[0]} cannot be started ({error.strerror})."
            raise NotTranscribed("failed", text) from error
        try:
            async with asyncio.timeout(self._limit_s):
                output, errors = await asyncio.gather(
                    _first_bytes(process.stdout, OUTPUT_BYTES_MAX),
                    _last_bytes(process.stderr, ERRORS_BYTES_MAX),
                )
                status = await process.wait()
        except TimeoutError:
            text = f"{self._command[0]} took more than {self._limit_s:.0f} s."
            raise NotTranscribed("too_long", text) from None
        finally:
            await _ended(process)
        if status:
            why = " ".join(errors.decode("utf-8", "replace").split())[-300:]
            raise NotTranscribed("failed", f"{self._command[0]} ended with {status}: {why}")
        return _tidy(output.decode("utf-8", "replace"))

    async def _started(self, path: Path) -> asyncio.subprocess.Process:
        """Whole or not at all: asyncio, cancelled halfway, waits for whoever holds the pipes."""
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._arguments(path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _ended(await starting)
            raise

    async def close(self) -> None:
        """It keeps nothing open."""

    async def problem(self) -> str:
        """Is there such a program?"""
        path = self._environment.get("PATH", os.defpath)
        if shutil.which(self._command[0], path=path) is None:
            return f"There is no program {self._command[0]}: install it, or change KITT_TRANSCRIBER"
        return ""

    def _arguments(self, path: Path) -> list[str]:
        command = [*self._command]
        if not any(FILE_MARK in word for word in command):
            command.append(FILE_MARK)
        return [command[0], *(word.replace(FILE_MARK, str(path)) for word in command[1:])]


class Service:
    """A web service that is asked as OpenAI's `audio/transcriptions` is."""

    def __init__(self, url: str, *, key: Secret, model: str, limit_s: float = LIMIT_S) -> None:
        self._url = f"{url}/audio/transcriptions" if url.endswith("/v1") else url
        self._key = key
        self._model = model
        self._limit_s = limit_s
        self._opening = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def transcribe(self, path: Path) -> str:
        """Send the file once; a redirect is not followed, so that no other host gets it."""
        import httpx

        data = await asyncio.to_thread(path.read_bytes)
        try:
            async with asyncio.timeout(self._limit_s):
                client = await self._opened()
                body = await self._answer(client, path.name, data)
        except TimeoutError:
            text = f"The transcriber took more than {self._limit_s:.0f} s."
            raise NotTranscribed("too_long", text) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            text = f"The transcriber cannot be reached ({type(error).__name__})."
            raise NotTranscribed("failed", text) from error
        return _tidy(_text_in(body))

    async def close(self) -> None:
        """End its connections."""
        if self._client is not None:
            await self._client.aclose()

    async def problem(self) -> str:
        """Does anything answer there? What it says does not matter: it is asked for no text."""
        import httpx

        try:
            async with asyncio.timeout(REACHED_WITHIN_S):
                client = await self._opened()
                async with client.stream("GET", self._url):
                    return ""
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            why = type(error).__name__
            return f"Nothing answers at KITT_TRANSCRIBER_URL ({why}): start it, or change the URL"

    async def _opened(self) -> "httpx.AsyncClient":
        import httpx

        async with self._opening:
            if self._client is None:  # reading the certificates would hold everybody up
                limits = httpx.Timeout(self._limit_s, connect=10.0)
                self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=limits)
            return self._client

    async def _answer(self, client: "httpx.AsyncClient", name: str, data: bytes) -> bytes:
        headers = {"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {}
        request = client.build_request(
            "POST",
            self._url,
            headers=headers,
            data={"model": self._model, "response_format": "json"},
            files={"file": (name, data)},
        )
        answer = await client.send(request, stream=True)
        try:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > OUTPUT_BYTES_MAX:
                    raise NotTranscribed("failed", "The transcriber says too much.")
        finally:
            await answer.aclose()
        if answer.status_code != 200:
            raise NotTranscribed("failed", f"The transcriber answers {answer.status_code}.")
        return body


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill it with whatever it left behind, and close its pipes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 1.0)
    # Pipes that nobody read to their end, or that one who fled from the group still holds:
    # asyncio closes them in no other way.
    process._transport.close()  # type: ignore[attr-defined]


async def _first_bytes(stream: asyncio.StreamReader | None, most: int) -> bytes:
    assert stream is not None
    found = b""
    while piece := await stream.read(65_536):
        found += piece
        if len(found) > most:
            raise NotTranscribed("failed", f"The transcriber says more than {most:,} bytes.")
    return found


async def _last_bytes(stream: asyncio.StreamReader | None, most: int) -> bytes:
    assert stream is not None
    found = b""
    while piece := await stream.read(65_536):
        found = (found + piece)[-most:]
    return found


def _text_in(body: bytes) -> str:
    """The text of an answer, which is `{"text": …}` or the text itself."""
    text = body.decode("utf-8", "replace")
    try:
        answer: Any = json.loads(text)
    except ValueError:
        return text
    return str(answer.get("text") or "") if isinstance(answer, dict) else text


def _tidy(text: str) -> str:
    """Words without the times some programs print. Raises: NotTranscribed without any."""
    said = clean_text(_TIMES.sub("", text))
    said = "\n".join(line for line in (" ".join(row.split()) for row in said.splitlines()) if line)
    if not any(char.isalnum() for char in said):
        raise NotTranscribed("silent", "The transcriber heard no words.")
    return said
