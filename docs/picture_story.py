"""The pictures of the README, from a real run of the demo.

Plays `kitt demo` on a terminal of its own, photographs the chat page while the job runs and after
it, and sets what the terminal showed as a picture.
"""

import html
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from picture_browser import CHROMIUM, QUIET

DOCS = Path(__file__).parent
PATIENCE_S = 90.0
PAGE = """<meta charset="utf-8"><style>
body{{margin:0;background:#14181f;color:#d7dde6;padding:20px 24px;white-space:pre-wrap;
font:14px/1.5 "DejaVu Sans Mono",monospace}}
b{{color:#fff}}
i{{color:#7d8896;font-style:normal}}
</style>{body}"""


def play() -> None:
    """Run the demo and photograph it."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "bridge", "demo"])
    shown = ""
    page = ""
    halfway = False
    deadline = time.monotonic() + PATIENCE_S
    try:
        while "Ctrl-C ends" not in shown and time.monotonic() < deadline:
            shown += os.read(terminal, 4096).decode(errors="replace")
            page = page or next(iter(re.findall(r"http://[\d.:]+/", shown)), "")
            if not halfway and "card" in shown and "%" in shown:
                halfway = True
                photograph(page, DOCS / "chat-running.png", "420,760")
        photograph(page, DOCS / "chat.png", "420,1500")
    finally:
        os.kill(child, signal.SIGINT)
        os.waitpid(child, 0)
    with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False) as file:
        file.write(PAGE.format(body=as_html(shown.partition("\r\nGo on")[0])))
    photograph(f"file://{file.name}", DOCS / "story.png", "1000,900")
    Path(file.name).unlink()


def photograph(address: str, target: Path, size: str) -> None:
    """A screenshot of a page."""
    with tempfile.TemporaryDirectory() as profile:
        command = [*CHROMIUM, *QUIET, f"--user-data-dir={profile}", f"--window-size={size}"]
        subprocess.run(
            [*command, "--virtual-time-budget=3000", f"--screenshot={target}", address],
            check=True,
            stderr=subprocess.DEVNULL,
        )


def as_html(shown: str) -> str:
    """The terminal's bold and dim as HTML."""
    text = html.escape(shown.replace("\r", ""))
    text = re.sub("\x1b\\[1m(.*?)\x1b\\[0m", r"<b>\1</b>", text)
    return re.sub("\x1b\\[2m(.*?)\x1b\\[0m", r"<i>\1</i>", text, flags=re.S)
