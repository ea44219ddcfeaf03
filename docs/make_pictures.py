"""Makes the pictures of the README and of docs/chat.md (needs Debian's `chromium`).

    .venv/bin/python docs/make_pictures.py            # all
    .venv/bin/python docs/make_pictures.py tables     # these scenes of chat.md
    .venv/bin/python docs/make_pictures.py story      # those of the README

Every picture is a photograph of a real run: of `kitt demo` for the README, of `kitt up` against the
emulators for chat.md, where people and the model follow a script and everything else is real.
"""

import asyncio
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import picture_page
import picture_story
from picture_browser import browser
from picture_chats import CHATS, GROWING, strangers
from picture_jobs import JOBS, restarted, restarts
from picture_stage import PICTURES, Chat, Stage, stage

Scene = Callable[[Chat], Awaitable[None]]


async def main(wanted: list[str]) -> int:
    """Play the scenes, each in both languages; how many went wrong."""
    scenes = [
        scene for scene in (*GROWING, *JOBS, *CHATS) if not wanted or scene.__name__ in wanted
    ]
    wrong = 0
    async with browser() as camera:
        for played in (crowd(scenes, not wanted or "restarts" in wanted), alone):
            if played is alone and wanted and "strangers" not in wanted:
                continue
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                owners = 1 if played is alone else 2 * len(scenes) + 2
                async with stage(Path(folder), camera, owners) as on:
                    wrong += await played(on)
    picture_page.write(PICTURES)
    return wrong


def crowd(scenes: list[Scene], restart: bool) -> Callable[[Stage], Awaitable[int]]:
    """Scenes side by side, each with a chat of its own; then the worker is killed."""

    async def play(on: Stage) -> int:
        wrong = 0
        for at_once in (
            [s for s in scenes if s in GROWING],
            [s for s in scenes if s not in GROWING],
        ):
            chats = [(scene, on.chat(lang)) for scene in at_once for lang in picture_page.LANGUAGES]
            wrong += await together(*(attempt(scene, chat) for scene, chat in chats))
        if restart:
            pair = [on.chat(language) for language in picture_page.LANGUAGES]
            wrong += await together(*(attempt(restarts, chat) for chat in pair))
            on.kill_worker()
            wrong += await together(*(attempt(restarted, chat) for chat in pair))
        return wrong

    return play


async def alone(on: Stage) -> int:
    """Scenes that reach every owner: there is only one."""
    owner, wrong = on.chat("en"), 0
    for language in picture_page.LANGUAGES:
        owner.language, owner.first = language, None
        wrong += await attempt(strangers, owner)
    return wrong


async def together(*scenes: Awaitable[int]) -> int:
    return sum(await asyncio.gather(*scenes))


async def attempt(scene: Scene, chat: Chat) -> int:
    """0 when the scene went as it should; otherwise says why not, and the others go on."""
    try:
        await scene(chat)
    except Exception:
        sys.stderr.write(f"{scene.__name__}, {chat.language}:\n{traceback.format_exc()}")
        return 1
    return 0


if __name__ == "__main__":
    names = sys.argv[1:]
    if not names or "story" in names:
        picture_story.play()
    sys.exit(asyncio.run(main(names)) if names != ["story"] else 0)
