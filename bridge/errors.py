"""The tree of errors KITT raises itself.

    KittError                 the message says what, which, and what to do
    ├─ ConfigError            a setting or file is wrong; the process must not start (exit 78)
    │  ├─ MigrationError      the database belongs to another version of KITT
    │  └─ StoreDamaged        the database cannot be trusted
    ├─ TryLater               waiting helps (exit 75)
    │  ├─ StoreBusy           another process kept the database locked
    │  ├─ NewerSchema         another process has upgraded the database: end and start anew
    │  └─ AlreadyRunning      the same slot is held by a living process
    ├─ Refused                what was asked does not fit; its code is said in any language
    │  ├─ JobRefused          a new job does not fit; nothing was stored
    │  │  └─ KindRefused      its data does not fit its kind, or the kind cannot be used
    │  └─ ScheduleRefused     a schedule can never come, or may not; nothing was stored
    ├─ JobNotFound            no such job
    ├─ ScheduleNotFound       no such schedule
    ├─ JobWaits               a job asked its user; its attempt is over until the answer comes
    ├─ LeaseLost              the job is no longer ours: stop, write nothing
    ├─ ModelUnavailable       the provider does not answer now; carries retry_after_s
    ├─ ModelRefused           the provider refuses this request for good
    ├─ TurnLimitReached       a turn used up its model calls
    └─ BudgetUsedUp           no more money today; says until when

Types are cut by what the caller does: wait, give up, or tell the user. Foreign exceptions are
translated once, in the module that imports the library.
"""

from datetime import datetime


class KittError(Exception):
    """Anything KITT raises on purpose."""

    exit_code = 1


class ConfigError(KittError):
    """A setting or file is wrong; trying again changes nothing."""

    exit_code = 78


class MigrationError(ConfigError):
    """The database belongs to another version of KITT."""


class StoreDamaged(ConfigError):
    """The database file cannot be read or trusted."""


class TryLater(KittError):
    """Nothing is wrong that waiting does not mend."""

    exit_code = 75


class StoreBusy(TryLater):
    """Another process kept the database locked for longer than we wait."""


class NewerSchema(TryLater):
    """Another process has upgraded the database; this one must end and start as the new KITT."""


class AlreadyRunning(TryLater):
    """The slot (bridge, worker N, supervisor) is held by a living process."""


class Refused(KittError):
    """What was asked does not fit.

    `message` is for the shell and the model. `code` and `values` are for people: a chat says them
    in its own language (`refused_<code>`); without a code it has only the message.
    """

    def __init__(self, message: str, code: str = "", **values: object) -> None:
        super().__init__(message)
        self.code = code
        self.values = values


class JobRefused(Refused):
    """A new job does not fit; nothing was stored."""


class KindRefused(JobRefused):
    """The data of a job does not fit its kind, or its kind is broken."""


class JobNotFound(KittError):
    """There is no such job for whoever asks."""


class ScheduleRefused(Refused):
    """A schedule cannot be read, never comes, or comes too often; nothing was stored."""


class ScheduleNotFound(KittError):
    """There is no such schedule for whoever asks."""


class JobWaits(KittError):
    """A job asked its user something; its attempt is over until the answer comes."""


class LeaseLost(KittError):
    """The job is no longer ours: stop, write nothing."""


class ModelUnavailable(KittError):
    """The model provider does not answer now.

    `retry_after_s` is what the provider asked for, or None.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelRefused(KittError):
    """The model provider refuses this request for good (wrong key, bad request).

    `for_content`: because of what is in it, so that one with other content may be taken.
    """

    def __init__(self, message: str, *, for_content: bool = False) -> None:
        super().__init__(message)
        self.for_content = for_content


class TurnLeft(KittError):
    """The turn was ended from outside and may write nothing more."""


class TurnLimitReached(KittError):
    """A turn used up its budget of model calls or time."""


class BudgetUsedUp(KittError):
    """The money of a day is spent; nothing was asked.

    `whose` is "user" or "day", or "job" for a second try that a job has no money for. `until` is
    when it begins anew, or None when only what others ask just now keeps the rest of it: that is
    soon over.
    """

    def __init__(self, whose: str, limit_micro: int, until: datetime | None) -> None:
        super().__init__(
            "The budget of the day is used up."
            if until
            else "Requests that run now keep what is left of the budget of the day."
        )
        self.whose = whose
        self.limit_micro = limit_micro
        self.until = until
