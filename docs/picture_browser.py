"""A headless Chromium that photographs a part of the chat page (Debian's `chromium`)."""

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse

CHROMIUM: Final = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# without these Chromium asks hosts of its own at every start
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--disable-quic", "--no-first-run"]
PATIENCE_S: Final = 60.0
WIDTH, HEIGHT = 420, 2600  # of a phone; as high as the longest conversation
SCALE: Final = 1.25
MARGIN: Final = 8
# Where the messages from one on are; null until the page shows them.
PLACE: Final = """(() => {
  const shown = [...document.querySelectorAll("#log > li[data-id]")];
  const number = (li) => Number(li.dataset.id);
  const items = shown.filter((li) => number(li) >= FIRST && number(li) <= LAST);
  const lost = document.getElementById("status").className === "lost";
  if (lost || !items.length || document.fonts.status !== "loaded") return null;
  if ([...document.images].some((image) => !image.complete)) return null;
  const folded = document.querySelectorAll(".expandable:not(.open)");
  if (UNFOLD) for (const quote of folded) quote.click();
  for (const li of shown) li.style.display = items.includes(li) ? "" : "none";
  for (const line of document.querySelectorAll(".day")) line.style.display = "none";
  // A gradient is large in a PNG; this font is as wide as those of phones.
  document.getElementById("phone").style.background = "#d7e3e6";
  document.body.style.fontFamily = '"Liberation Sans", "Noto Color Emoji"';
  const passing = document.getElementById("passing");
  const end = LAST < 1e9 || !passing.firstChild ? items.at(-1) : passing;
  return [items[0].getBoundingClientRect().top, end.getBoundingClientRect().bottom];
})()"""


class Browser:
    """One browser; each picture has a page of its own."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._next = 0
        self._one = asyncio.Lock()

    async def photograph(
        self, address: str, target: Path, *, first: int, last: int, unfold: bool
    ) -> None:
        """The messages `first` … `last` of the page, with folded quotes opened if `unfold`."""
        place = PLACE.replace("FIRST", str(first)).replace("LAST", str(last))
        place = place.replace("UNFOLD", json.dumps(unfold))
        async with self._one:
            made = await self._call("Target.createTarget", url="about:blank")
            target_id = made["targetId"]
            attached = await self._call("Target.attachToTarget", targetId=target_id, flatten=True)
            page = attached["sessionId"]
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
            await self._call("Emulation.setDeviceMetricsOverride", page, **size)
            await self._call("Page.navigate", page, url=address)
            top, bottom = await self._settled(page, place)
            clip = {"x": 0, "y": top - MARGIN, "width": WIDTH, "scale": 1}
            clip["height"] = bottom - top + 2 * MARGIN
            shot = await self._call("Page.captureScreenshot", page, clip=clip)
            await self._call("Target.closeTarget", targetId=target_id)
        target.write_bytes(base64.b64decode(shot["data"]))

    async def _settled(self, page: str, place: str) -> tuple[float, float]:
        """Where it is, once it is at the same place twice."""
        before = None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await self._call(
                    "Runtime.evaluate", page, expression=place, returnByValue=True
                )
                now = found["result"].get("value")
                if now is not None and now == before:
                    return now[0], now[1]
                before = now
                await asyncio.sleep(0.1)

    async def _call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        await self._socket.send_json(message)
        while True:
            answer = await self._socket.receive_json(timeout=PATIENCE_S)
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser that ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = await asyncio.create_subprocess_exec(
            *CHROMIUM,
            *QUIET,
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _address(Path(profile) / "DevToolsActivePort")
            async with (
                ClientSession() as session,
                session.ws_connect(address, max_msg_size=64_000_000) as socket,
            ):
                yield Browser(socket)
        finally:
            chromium.terminate()
            await chromium.wait()


async def _address(note: Path) -> str:
    """Where Chromium listens, as it notes in its profile."""
    async with asyncio.timeout(PATIENCE_S):
        while not note.exists() or len(lines := note.read_text().splitlines()) < 2:
            await asyncio.sleep(0.1)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
