"""A folder in which an alert waits for someone who may write the database.

supervisord and a program that has just started can write no delivery. They leave one small file
per alert; `alerts.pick_up_alerts` turns it into messages to the owners. It imports next to nothing,
because supervisord loads it.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "alerts"  # in settings.run_dir, as supervisord.conf says


def put(folder: Path, alert: str, program: str, **values: str | int) -> None:
    """Leave an alert about a program; one that still waits there is replaced.

    `alert` names a text (`alert_<name>`). Never raises: whoever leaves one is in trouble already.
    """
    text = json.dumps({"alert": alert, "program": program, "values": values})
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".{program}-{alert}"
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / f"{program}-{alert}.json")  # a reader sees all of it or nothing
