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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import picture_page
import picture_story
from picture_browser import Browser, browser
from picture_chats import CHATS, GROWING, strangers
from picture_jobs import JOBS, restarts
from picture_stage import PICTURES, Chat, Stage, stage

ALONE = (strangers, restarts)
Scene = Callable[[Chat], Awaitable[None]]


async def main(wanted: list[str]) -> int:
    """Play the scenes, each in both languages; how many went wrong."""
    scenes = [
        scene for scene in (*GROWING, *JOBS, *CHATS) if not wanted or scene.__name__ in wanted
    ]
    wrong = 0
    async with browser() as camera:
        if scenes:
            async with fresh(camera, 2 * len(scenes)) as on:
                wrong += await crowd(on, scenes)
        for language in picture_page.LANGUAGES:
            if not wanted or {scene.__name__ for scene in ALONE} & {*wanted}:
                async with fresh(camera, 1) as on:
                    wrong += await alone(on.chat(language))
    picture_page.write(PICTURES)
    return wrong


@asynccontextmanager
async def fresh(camera: Browser, owners: int) -> AsyncIterator[Stage]:
    """A stage on an empty profile."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with stage(Path(folder), camera, owners) as on:
            yield on


async def crowd(on: Stage, scenes: list[Scene]) -> int:
    """Scenes side by side, each with a chat of its own."""
    wrong = 0
    for at_once in ([s for s in scenes if s in GROWING], [s for s in scenes if s not in GROWING]):
        chats = [(scene, on.chat(lang)) for scene in at_once for lang in picture_page.LANGUAGES]
        wrong += await together(*(attempt(scene, chat) for scene, chat in chats))
    return wrong


async def alone(owner: Chat) -> int:
    """Scenes that reach every owner or disturb every job: there is one owner and one job."""
    wrong = 0
    for scene in ALONE:
        owner.first = None
        wrong += await attempt(scene, owner)
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
