"""An MCP server that is reached over HTTP: each message is a POST, answered by JSON or a stream.

Every request passes the guard (bridge/outgoing.py) and follows no redirect, so its key goes to the
address of its owner alone. A stream is read until it has answered; what a server sends beside that
is not looked at, and one that ends before has failed. Its session, if it keeps one, is ended with
ours.
"""

import json
import re
from contextlib import suppress
from typing import Any, Final

from bridge.mcp.servers import Server
from bridge.mcp.talk import ANSWER_BYTES_MAX, Broken, Talk, message_in, result_of
from bridge.outgoing import Fetched, Limits, NotAllowed, NotReached, Outgoing

STREAM: Final = "text/event-stream"
END_S: Final = 5.0
SESSION_CHARS_MAX: Final = 1_000
_BLANK: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")  # ends an event
NO_ACCESS: Final = (401, 403)
GONE: Final = 404


class Remote(Talk):
    """A talk over HTTP; nothing runs here between two messages. `who` is for the log."""

    def __init__(self, outgoing: Outgoing, server: Server, who: str) -> None:
        super().__init__(server)
        self._outgoing = outgoing.trusting(server.url, inside=server.inside)
        self._who = who
        self._asked = 0
        self._session = ""

    async def ask(self, method: str, params: dict[str, Any], within_s: float) -> dict[str, Any]:
        """The result. Raises: Broken, Refused."""
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": params}
        stream = _Stream(self._asked)
        answer = await self._post(asked, within_s, stream)
        if method == "initialize":
            self._keep_session(answer.headers.get("mcp-session-id", ""))
        if answer.media_type == "application/json":
            stream.hear(answer.body)
        elif answer.media_type != STREAM:
            raise Broken("answers what is no message of MCP")
        if stream.answer is None:
            raise Broken("ended before it answered")
        return result_of(stream.answer)

    async def tell(self, method: str, within_s: float) -> None:
        """Say what has no answer. Raises: Broken."""
        await self._post({"method": method}, within_s, _Stream(0))

    async def close(self) -> None:
        """Let go of its session; one that does not listen forgets it by itself."""
        if self._session:
            with suppress(NotAllowed, NotReached, Broken):
                await self._fetch("DELETE", b"", END_S, _Stream(0))
            self._session = ""

    async def _post(self, message: dict[str, Any], within_s: float, stream: "_Stream") -> Fetched:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        try:
            answer = await self._fetch("POST", body, within_s, stream)
        except (NotAllowed, NotReached) as error:
            raise Broken(f"cannot be asked: {str(error).rstrip('.')}") from None
        if answer.status in NO_ACCESS:
            raise Broken(f"does not let us in ({answer.status}): its key may be wrong")
        if answer.status == GONE and self._session:
            raise Broken("has ended its session")
        if not 200 <= answer.status < 300:
            raise Broken(f"answers {answer.status}")
        return answer

    async def _fetch(self, method: str, body: bytes, within_s: float, stream: "_Stream") -> Fetched:
        headers = {"Accept": f"application/json, {STREAM}", "Content-Type": "application/json"}
        if self.server.key:
            headers["Authorization"] = f"Bearer {self.server.key.reveal()}"
        if self._session:
            headers["Mcp-Session-Id"] = self._session
        if self.protocol:
            headers["MCP-Protocol-Version"] = self.protocol
        return await self._outgoing.fetch(
            self.server.url,
            method=method,
            headers=headers,
            body=body,
            limits=Limits(bytes_max=ANSWER_BYTES_MAX, seconds=within_s),
            follow=False,
            who=self._who,
            enough=stream.enough,
        )

    def _keep_session(self, session: str) -> None:
        seen = all("!" <= sign <= "~" for sign in session)  # it becomes a header
        if not seen or len(session) > SESSION_CHARS_MAX:
            raise Broken("calls its session what cannot be sent")
        self._session = session


class _Stream:
    """Finds the answer to one message among what is sent, each byte looked at once."""

    def __init__(self, number: int) -> None:
        self.answer: dict[str, Any] | None = None
        self._number = number
        self._event = self._looked = 0  # where the next event begins, and what was searched

    def enough(self, body: bytearray) -> bool:
        """Is it there? Raises: Broken."""
        while end := _BLANK.search(body, self._looked):
            event = bytes(body[self._event : end.start()])
            self._event = self._looked = end.end()
            lines = [line[5:].strip() for line in event.splitlines() if line[:5] == b"data:"]
            if any(lines):
                self.hear(b"\n".join(lines))
        self._looked = max(self._event, len(body) - 3)
        return self.answer is not None

    def hear(self, message: bytes) -> None:
        """One message; what the server asks or tells beside the answer is left alone."""
        told = message_in(message)
        if "method" not in told and told.get("id") == self._number and self.answer is None:
            self.answer = told
