"""The menu of commands that Telegram shows, in every language."""

from typing import Final

from bridge.store import Store
from bridge.telegram.api import Api
from bridge.telegram.texts import DEFAULT, LANGUAGES, say

MENU: Final = (
    *("new", "stop", "bg", "jobs", "job", "cancel", "retry", "schedule", "settings"),
    *("status", "help"),
)


async def offer_commands(store: Store, api: Api) -> None:
    """Tell Telegram the menus, only when they changed: it limits how often it may be told."""
    menus = {
        language: [(name, say(language, f"command_{name}")) for name in MENU]
        for language in LANGUAGES
    }
    if await store.read(lambda tx: tx.value("meta", name="commands")) == str(menus):
        return
    for language, commands in menus.items():
        await api.set_commands(commands, None if language == DEFAULT else language)
    await store.write(
        lambda tx: tx.run("put_meta", name="commands", value=str(menus)), durable=False
    )
