"""An MCP server for tests, in plain JSON-RPC. It runs inside the sandbox, and does what it is told.

Its first argument is how it begins, the second what it says of its tool `act`.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

START = sys.argv[1] if len(sys.argv) > 1 else ""
ABOUT = sys.argv[2] if len(sys.argv) > 2 else "Acts."
TEXT = {"type": "string"}


def tool(name: str, about: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": [*properties]}
    return {"name": name, "description": about, "inputSchema": schema}


TOOLS = [
    tool("act", ABOUT, how=TEXT, text=TEXT),
    tool("notes.create", "Creates.", note=TEXT),
    tool("forbidden", "Not allowed by the owner."),
]


def say(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def look(text: str) -> str:
    """What it sees: its environment, some folders, the network."""
    seen: dict[str, Any] = {"env": dict(os.environ), "pid": os.getpid(), "uid": os.getuid()}
    seen["files"] = {
        name: sorted(path.name for path in Path(name).glob("*")) if Path(name).exists() else None
        for name in text.split()
    }
    with socket.socket() as asking:
        asking.settimeout(2)
        seen["network"] = asking.connect_ex(("127.0.0.1", int(text.split()[-1]))) == 0
    return json.dumps(seen)


def act(number: Any, how: str, text: str) -> None:
    if how == "hang":
        time.sleep(1000)
    elif how == "garbage":
        print("Traceback (most recent call last):", flush=True)
    elif how == "deep":
        deep = "[" * 200 + "]" * 200
        print(f'{{"id": {number}, "result": {{"structuredContent": {deep}}}}}', flush=True)
    elif how == "die":
        os._exit(1)
    elif how == "flood":
        while True:
            sys.stdout.write("x" * 100_000)
    elif how == "chatter":
        while True:
            say(method="notifications/message", params={"data": "x" * 10_000})
    elif how == "memory":
        held = [bytearray(os.urandom(1_000_000)) for _ in range(1_200)]
        time.sleep(1000 + len(held))
    elif how == "nonsense":
        say(id=number, result=[1, 2])
    elif how == "refuse":
        say(id=number, error={"code": 1, "message": text})
    elif how == "fail":
        say(id=number, result={"content": [{"type": "text", "text": text}], "isError": True})
    elif how == "ask":
        say(id="p", method="ping")
        say(id="s", method="sampling/createMessage", params={})
        answers = [json.loads(sys.stdin.readline()) for _ in range(2)]
        say(id=number, result={"content": [{"type": "text", "text": json.dumps(answers)}]})
    else:
        shown = {"look": look, "write": write}.get(how, str)(text)
        picture = {"type": "image", "data": "QUJD", "mimeType": "image/png"}
        say(id=number, result={"content": [{"type": "text", "text": shown}, picture]})


def write(text: str) -> str:
    Path("/work", "made").write_text(text)
    return Path("/work", "given").read_text()


def answer(message: dict[str, Any]) -> None:
    method, number = message["method"], message.get("id")
    if method == "initialize":
        version = message["params"]["protocolVersion"] if START != "old" else "1999-01-01"
        info = {"name": "Notes", "version": "1.2"}
        say(id=number, result={"protocolVersion": version, "capabilities": {}, "serverInfo": info})
    elif method == "tools/list":
        first = not message["params"].get("cursor")
        page: dict[str, Any] = {"tools": TOOLS[:1] if first else TOOLS[1:]}
        say(id=number, result={**page, **({"nextCursor": "2"} if first else {})})
    elif method == "tools/call":
        given = message["params"]["arguments"]
        if message["params"]["name"] == "act":
            act(number, given["how"], given["text"])
        else:
            say(id=number, result={"content": [], "structuredContent": {"created": given["note"]}})


if __name__ == "__main__":
    if START == "garbage":
        print("Hello, I am a server.", flush=True)
    if START == "die":
        sys.exit(f"no token {os.environ.get('NOTES_TOKEN')}")
    if START == "hang":
        time.sleep(1000)
    for line in sys.stdin:
        answer(json.loads(line))
