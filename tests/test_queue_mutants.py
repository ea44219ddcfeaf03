"""The checks can fail: the queue is broken on purpose, one statement at a time.

A mutant changes one named statement and says which check of the contract finds it. One that
survives means that a promise is no longer checked.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import pytest
import test_queue_contract as contract
import test_queue_contract_adding as adding
import test_queue_contract_ends as ends
from fakes import FakeClock, OpenStore
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from queue_machine import QueueMachine

from bridge.errors import KittError
from bridge.queue import Queue
from bridge.store import statements

Check = Callable[[Queue, FakeClock], Awaitable[None]]
CAUGHT: Final = (AssertionError, KittError, sqlite3.IntegrityError, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`statement` with `old` replaced by `new`, and the check that finds it."""

    name: str
    statement: str
    old: str
    new: str
    check: Check

    def sql(self) -> dict[str, str]:
        """All statements, this one broken."""
        text = statements()[self.statement]
        assert text.count(self.old) == 1, f"{self.statement} no longer says {self.old!r}"
        return {**statements(), self.statement: text.replace(self.old, self.new)}


FENCE = "worker_id = :worker_id AND attempt = :attempt AND status = 'running'"
NO_WORKER = "attempt = :attempt AND status = 'running'"
NO_ATTEMPT = "worker_id = :worker_id AND status = 'running'"
NO_STATUS = "worker_id = :worker_id AND attempt = :attempt"
another_worker = contract.test_attempt_of_one_worker_is_not_the_attempt_of_another
next_attempt = contract.test_late_attempt_cannot_touch_the_next_one_of_the_same_worker

MUTANTS: Final = [
    Mutant("finish without any fence", "finish_job", f" AND {FENCE}", "", next_attempt),
    Mutant("finish by any worker", "finish_job", FENCE, NO_WORKER, another_worker),
    Mutant("finish of any attempt", "finish_job", FENCE, NO_ATTEMPT, next_attempt),
    Mutant(
        "finish in any status",
        "finish_job",
        FENCE,
        NO_STATUS,
        contract.test_cancelled_job_takes_no_result,
    ),
    Mutant("fail by any worker", "fail_job", FENCE, NO_WORKER, another_worker),
    Mutant("fail of any attempt", "fail_job", FENCE, NO_ATTEMPT, next_attempt),
    Mutant(
        "fail in any status",
        "fail_job",
        FENCE,
        NO_STATUS,
        contract.test_finished_job_takes_no_second_end,
    ),
    Mutant("progress of any attempt", "progress_job", FENCE, NO_ATTEMPT, next_attempt),
    Mutant("give back of any attempt", "give_back_job", FENCE, NO_ATTEMPT, next_attempt),
    Mutant(
        "give back in any status",
        "give_back_job",
        FENCE,
        NO_STATUS,
        contract.test_finished_job_takes_no_second_end,
    ),
    Mutant(
        "give back counts a failure",
        "give_back_job",
        "worker_id = NULL,",
        "worker_id = NULL, failures = failures + 1,",
        ends.test_drained_job_is_pending_again_and_counts_no_failure,
    ),
    Mutant(
        "claim keeps the attempt",
        "take_job",
        "attempt + 1",
        "attempt",
        contract.test_claim_raises_the_attempt_and_keeps_the_first_start,
    ),
    Mutant(
        "claim ignores the priority",
        "head_of_line",
        "priority DESC, turn, id",
        "id",
        contract.test_claim_takes_the_most_urgent_then_the_oldest,
    ),
    Mutant(
        "claim forgets the first start",
        "take_job",
        "coalesce(started_at, :now)",
        ":now",
        contract.test_claim_raises_the_attempt_and_keeps_the_first_start,
    ),
    Mutant(
        "far-off jobs are due",
        "promote_due",
        " AND run_at <= :now",
        "",
        adding.test_job_for_later_stays_behind_when_another_is_claimed,
    ),
    Mutant(
        "heartbeat extends everyone's leases",
        "heartbeat",
        "worker_id = :worker_id AND ",
        "",
        contract.test_heartbeat_extends_only_the_own_leases,
    ),
    Mutant(
        "heartbeat revives what was cancelled",
        "heartbeat",
        " AND status = 'running'",
        "",
        contract.test_heartbeat_tells_what_is_no_longer_held,
    ),
    Mutant(
        "an expired lease is no orphan",
        "orphans",
        " OR lease_until < :monotonic",
        "",
        contract.test_expired_lease_returns_the_job_to_pending,
    ),
    Mutant(
        "another boot is no orphan",
        "orphans",
        "boot_id IS NOT :boot_id",
        "0",
        contract.test_jobs_of_an_earlier_boot_are_rescued_at_once,
    ),
    Mutant(
        "a successor takes its own jobs",
        "orphans",
        " AND worker_id <> :worker_id",
        "",
        contract.test_new_holder_of_a_slot_rescues_the_jobs_of_its_predecessor_at_once,
    ),
    Mutant(
        "a rescue counts no failure",
        "rescue_job",
        "failures + :blamed",
        "failures",
        contract.test_job_whose_worker_died_too_often_fails_and_its_user_is_told,
    ),
    Mutant(
        "cancel ends done jobs",
        "cancel_job",
        "'running','waiting'",
        "'running','waiting','done'",
        ends.test_cancel_leaves_a_done_job_as_it_is,
    ),
    Mutant(
        "cancel spares running jobs",
        "cancel_job",
        "'running',",
        "",
        contract.test_cancelled_job_takes_no_result,
    ),
    Mutant(
        "retry revives done jobs",
        "retry_job",
        "status IN ('failed','cancelled')",
        "status IN ('failed','cancelled','done')",
        ends.test_retry_leaves_a_done_job_as_it_is,
    ),
    Mutant(
        "retry keeps the failures",
        "retry_job",
        "failures = 0",
        "failures = failures",
        ends.test_failed_job_runs_again_with_all_its_attempts,
    ),
    Mutant(
        "retry forgets the parents",
        "retry_job",
        "parent.status NOT IN ('done','failed','cancelled')",
        "0",
        ends.test_retried_job_waits_for_its_parents_again,
    ),
    Mutant(
        "one parent is enough",
        "unblock",
        "parent.status <> 'done'",
        "0",
        ends.test_job_waits_until_all_its_parents_are_done,
    ),
    Mutant(
        "an unblocked job forgets its time",
        "unblock",
        "run_at > :now",
        "0",
        ends.test_unblocked_job_still_waits_for_its_time,
    ),
    Mutant(
        "the unique key outlives its job",
        "live_job_by_key",
        "'running','waiting'",
        "'running','waiting','done'",
        adding.test_unique_key_is_free_again_when_its_job_has_ended,
    ),
    Mutant(
        "jobs of every chat are found",
        "job",
        "chat_id = :chat_id)",
        "1)",
        ends.test_job_of_another_chat_is_not_found,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
async def test_mutant_is_caught_by_the_contract(
    mutant: Mutant, open_store: OpenStore, clock: FakeClock
) -> None:
    store = await open_store(sql=mutant.sql())
    queue = Queue(store=store, clock=clock, jitter=lambda: 0.0)

    with pytest.raises(CAUGHT):
        await mutant.check(queue, clock)


# What a machine without "a finish succeeds if and only if the caller is the holder" lets through.
FOR_THE_MACHINE: Final = (
    "finish without any fence",
    "finish of any attempt",
    "finish in any status",
    "claim keeps the attempt",
    "an expired lease is no orphan",
    "cancel ends done jobs",
    "retry revives done jobs",
)


@pytest.mark.parametrize("name", FOR_THE_MACHINE)
def test_mutant_is_caught_by_the_properties(name: str) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)

    class Broken(QueueMachine):
        sql = mutant.sql()

    with pytest.raises(CAUGHT):
        run_state_machine_as_test(
            Broken,
            settings=settings(
                max_examples=300,
                stateful_step_count=50,
                deadline=None,
                database=None,
                derandomize=True,
                report_multiple_bugs=False,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
