"""Who may do what with something another person of the same group asked for.

Anyone who may use the bot there may look. To change a job or a schedule is for whoever asked for it
and for the owners. In a private chat everything is its one person's, and nothing is looked up.
"""

from collections.abc import Callable
from typing import Final

from bridge.store import Store
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.job_pages import number_of

# Buttons that change nothing, or whose own family looks who pressed.
FOR_ALL: Final = frozenset(
    (
        *("jd", "jo", "jl", "jt", "jp", "jw", "fl", "fj", "fr", "qo", "qa"),
        *("sl", "sd", "ps", "pd", "um", "uo", "uc", "cl", "od", "oq", "os", "rt"),
    )
)
OF_A_JOB: Final = frozenset(("jc", "jz", "jk", "jr", "je", "jv", "jf", "ja", "jn"))
OF_A_SCHEDULE: Final = frozenset(("sn", "sp", "su", "sc", "sr", "sx"))
COMMANDS_OF_A_JOB: Final = frozenset(("cancel", "retry"))


class Rights:
    """Looks up whose it is. What it does not know is for owners only."""

    def __init__(self, *, store: Store, is_owner: Callable[[Incoming | Press], bool]) -> None:
        self._store = store
        self._is_owner = is_owner

    async def may_press(self, press: Press, verb: str, number: int) -> bool:
        """Whether this button is for who pressed it."""
        if not press.in_group or verb in FOR_ALL or self._is_owner(press):
            return True
        if verb in OF_A_JOB:
            return await self._asked(press, "asker_of_job", number)
        return verb in OF_A_SCHEDULE and await self._asked(press, "asker_of_schedule", number)

    async def may_command(self, message: Incoming, name: str, argument: str) -> bool:
        """Whether this command is for who wrote it."""
        free = name not in COMMANDS_OF_A_JOB or not argument
        if not message.in_group or free or self._is_owner(message):
            return True
        number = number_of(argument)  # read as the command itself reads it
        return number is not None and await self._asked(message, "asker_of_job", number)

    async def _asked(self, item: Incoming | Press, statement: str, number: int) -> bool:
        """True also when there is no such thing here: its family says so."""
        if number >= 2**63:
            return True
        asker = await self._store.read(
            lambda tx: tx.value(statement, id=number, chat_id=item.chat_id)
        )
        return asker is None or asker == item.user_id
