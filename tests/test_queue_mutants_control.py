"""The queue broken on purpose, second part: turns, lanes and kinds, trees, terms and questions.

What a statement cannot get wrong alone (a claim in two steps, a lease on the wall clock, the turn
of a row made by hand) is broken by a subclass or in the schema.
"""

import asyncio
from functools import partial
from typing import Final

import pytest
import test_queue_contract as contract
import test_queue_control as control
import test_queue_fairness as fairness
import test_queue_workers as workers
from fakes import FakeClock, OpenStore
from test_queue_mutants import (
    CAUGHT,
    FENCE,
    NO_ATTEMPT,
    NO_STATUS,
    NO_WORKER,
    Check,
    Mutant,
    another_worker,
    next_attempt,
)

from bridge.leases import EXPIRED
from bridge.line import Claimant
from bridge.migrate import migrations
from bridge.models import Job
from bridge.queue import Queue
from bridge.store import Tx, statements

# --- turns, lanes, kinds --------------------------------------------------------------------------

CLOSED = "head.kind NOT IN (SELECT value FROM json_each(:closed))"
LIMIT = "< :chat_concurrency"
KINDS = "(:kinds = '[]' OR head.kind IN (SELECT value FROM json_each(:kinds)))"
BROKEN = "WHERE :now >= opened_at AND :now < open_until"
NEXT_TURN = "AND turn > coalesce((SELECT turn FROM turns WHERE priority = :priority), -1)"
newcomer = partial(
    fairness.test_newcomer_does_not_pass_who_has_waited_since_a_kind_was_paused, by_hand=False
)
busy_chat = partial(
    fairness.test_ten_thousand_jobs_of_one_chat_delay_another_by_two_claims_at_most,
    by_hand=False,
    claims=1,
)
breaker_of_all = partial(
    fairness.test_open_breaker_keeps_its_kind_waiting_until_its_time,
    kind="*",
    waiting=[None, None],
)
breaker_of_one = partial(
    fairness.test_open_breaker_keeps_its_kind_waiting_until_its_time,
    kind="browser",
    waiting=["other", None],
)
no_backlog = partial(
    fairness.test_claim_beside_a_chat_at_its_limit_does_not_walk_its_backlog, others=1
)
paused_kind = fairness.test_paused_kind_stays_where_it_is_until_it_is_resumed
past_the_head = fairness.test_job_from_behind_the_head_of_the_line_is_held_like_any_other

OF_TURNS: Final = [
    Mutant(
        "all jobs of a chat are of one turn",
        "insert_job",
        "max(turn) + 1",
        "max(turn)",
        fairness.test_chats_take_turns_and_each_is_first_in_first_out,
    ),
    Mutant(
        "newcomers go to the end of the line", "insert_job", "min(turn)", "max(turn)", busy_chat
    ),
    Mutant("newcomers go to the lowest turn there is", "insert_job", NEXT_TURN, "", newcomer),
    Mutant(
        "an empty line begins anew",
        "insert_job",
        "(SELECT turn + 1 FROM turns WHERE priority = :priority)",
        "NULL",
        partial(
            fairness.test_newcomer_to_an_empty_line_does_not_pass_a_job_that_comes_back,
            by_hand=False,
        ),
    ),
    Mutant(
        "a job for later takes its turn at once",
        "insert_job",
        "WHEN :status = 'pending'",
        "WHEN 1",
        fairness.test_scheduled_job_takes_its_turn_when_it_is_due,
    ),
    Mutant(
        "claim knows no turns",
        "head_of_line",
        "priority DESC, turn, id",
        "priority DESC, id",
        busy_chat,
    ),
    Mutant(
        "a place in the line ignores turns",
        "jobs_before",
        "(turn, id) < (mine.turn, mine.id)",
        "id < mine.id",
        fairness.test_place_in_the_line_is_the_number_of_claims_before,
    ),
    Mutant(
        "a retried job keeps its turn",
        "retry_job",
        " turn = NULL,",
        "",
        fairness.test_retried_job_goes_to_the_end_of_its_chat,
    ),
    Mutant(
        "lanes of other chats are not seen",
        "best_of_lanes",
        "chat_id > heads.chat_id",
        "0",
        fairness.test_chat_that_runs_enough_is_passed_over,
    ),
    Mutant(
        "lanes of other kinds are not seen", "best_of_lanes", "kind > heads.kind", "0", paused_kind
    ),
    Mutant(
        "every job of a lane is looked at",
        "best_of_lanes",
        "chat_id > heads.chat_id",
        "+chat_id > heads.chat_id",
        no_backlog,
    ),
    Mutant(
        "any lane will do",
        "best_of_lanes",
        "\n ORDER BY priority DESC, turn, id LIMIT 1",
        "\n ORDER BY id LIMIT 1",
        fairness.test_best_of_several_lanes_is_taken,
    ),
    Mutant(
        "a claim gives no lease",
        "take_job",
        "lease_until = :lease_until",
        "lease_until = 0",
        past_the_head,
    ),
    Mutant("a claim gives no boot", "take_job", ", boot_id = :boot_id", "", past_the_head),
    Mutant("pauses are ignored", "closed_kinds", "FROM queues", "FROM queues WHERE 0", paused_kind),
    Mutant("breakers are ignored", "closed_kinds", BROKEN, "WHERE 0", breaker_of_one),
    Mutant("a breaker stays shut", "closed_kinds", BROKEN, "", breaker_of_one),
    *(
        mutant
        for name in ("head_of_line", "best_of_lanes")
        for mutant in (
            Mutant(f"{name} takes what is closed", name, CLOSED, "1", paused_kind),
            Mutant(
                f"{name} takes every kind",
                name,
                KINDS,
                "1",
                fairness.test_worker_of_some_kinds_takes_only_those,
            ),
            Mutant(
                f"{name} knows no limit of a chat",
                name,
                LIMIT,
                "< 1000",
                fairness.test_chat_that_runs_enough_is_passed_over,
            ),
            Mutant(
                f"{name} lets a chat have one more",
                name,
                LIMIT,
                "<= :chat_concurrency",
                fairness.test_chat_that_runs_enough_is_passed_over,
            ),
        )
    ),
    Mutant(
        "what is scheduled is never looked at",
        "claimable",
        "status = 'scheduled'",
        "0",
        fairness.test_next_look_is_when_the_first_scheduled_job_is_due,
    ),
    Mutant(
        "a breaker of the past is looked at for ever",
        "next_look_at",
        BROKEN,
        "",
        partial(fairness.test_next_look_never_stays_in_the_past, jobs=0),
    ),
    Mutant(
        "nobody looks when a breaker lets one try",
        "next_look_at",
        "min(open_until)",
        "NULL",
        fairness.test_next_look_is_when_a_breaker_lets_one_try,
    ),
    Mutant(
        "resume is for all kinds",
        "resume_kind",
        " WHERE kind = :kind",
        "",
        fairness.test_pause_of_all_stops_every_kind,
    ),
]

# --- trees, snooze, terms, questions --------------------------------------------------------------

no_answer = partial(workers.test_job_that_does_not_wait_takes_no_answer, status="running")
runs_anyway = partial(control.test_job_that_runs_anyway_runs_however_its_parent_ends, end="failed")
whole_tree = control.test_tree_is_cancelled_whole_and_others_are_not_touched
left_alone = workers.test_asking_leaves_no_lease_and_owes_the_question
draining = workers.test_draining_worker_stays_draining_until_it_is_gone
predecessor = workers.test_predecessor_in_a_slot_is_gone_when_its_successor_comes
counted = workers.test_worker_is_idle_then_busy_then_idle_and_its_ends_are_counted

OF_CONTROL: Final = [
    Mutant(
        "a tree without what waits",
        "live_tree",
        "JOIN tree ON after_id = tree.id",
        "JOIN tree ON 0",
        whole_tree,
    ),
    Mutant(
        "a tree without what it started",
        "live_tree",
        "JOIN tree ON parent_id = tree.id",
        "JOIN tree ON 0",
        whole_tree,
    ),
    Mutant(
        "a tree without its waiting jobs",
        "live_tree",
        ",'waiting')",
        ")",
        control.test_tree_that_waits_for_an_answer_is_cancelled_too,
    ),
    Mutant(
        "a tree with its ended jobs",
        "live_tree",
        "'running',",
        "'running','done',",
        control.test_ended_jobs_of_a_tree_stay_as_they_are_and_what_follows_them_ends,
    ),
    Mutant(
        "a tree is every job",
        "live_tree",
        "id IN (SELECT id FROM tree)",
        "1",
        whole_tree,
    ),
    Mutant(
        "cancel spares waiting jobs",
        "cancel_job",
        ",'waiting')",
        ")",
        workers.test_waiting_job_can_be_cancelled_and_then_takes_no_answer,
    ),
    Mutant(
        "the unique key of a waiting job is free",
        "live_job_by_key",
        ",'waiting')",
        ")",
        workers.test_unique_key_of_a_waiting_job_is_taken,
    ),
    Mutant(
        "a failed parent blocks for ever",
        "unblock",
        "(jobs.if_parent_fails = 'cancel' OR parent.status NOT IN ('failed','cancelled'))",
        "1",
        runs_anyway,
    ),
    Mutant(
        "one failed parent is enough to run",
        "unblock",
        "parent.status NOT IN ('failed','cancelled')",
        "0",
        control.test_job_that_runs_anyway_waits_for_all_its_parents,
    ),
    Mutant(
        "a failed parent ends all that wait",
        "waiting_for",
        " AND if_parent_fails = 'cancel'",
        "",
        control.test_job_that_runs_anyway_waits_for_all_its_parents,
    ),
    Mutant(
        "an end by hand ends all that wait",
        "stranded",
        "if_parent_fails = 'cancel' AND ",
        "",
        control.test_end_of_a_parent_by_hand_lets_a_job_run_that_runs_anyway,
    ),
    *(
        Mutant(
            f"all are retried, whatever {what}",
            "dead_ids",
            f"(:{what} IS NULL OR {what} = :{what})",
            "1",
            control.test_all_failed_jobs_of_a_kind_run_again,
        )
        for what in ("kind", "chat_id")
    ),
    Mutant(
        "all that is cancelled is retried too",
        "dead_ids",
        "INDEXED BY jobs_dead WHERE status = 'failed'",
        "WHERE status IN ('failed','cancelled')",
        control.test_all_failed_jobs_of_a_kind_run_again,
    ),
    Mutant(
        "a retry brings no new term",
        "retry_job",
        "expires_at = :expires_at",
        "expires_at = expires_at",
        control.test_retried_job_has_a_new_term_and_can_miss_it_too,
    ),
    Mutant(
        "a retried job had begun",
        "retry_job",
        "started_at = NULL, ",
        "",
        control.test_retried_job_has_a_new_term_and_can_miss_it_too,
    ),
    Mutant(
        "jobs never grow too old",
        "insert_job",
        ":timeout_s, :expires_at,",
        ":timeout_s, NULL,",
        control.test_job_that_is_too_old_fails_and_its_user_is_told_once,
    ),
    Mutant(
        "a running job is put off",
        "snooze_job",
        "status IN ('pending','scheduled','blocked')",
        "status IN ('pending','scheduled','blocked','running')",
        partial(control.test_job_that_has_begun_or_ended_cannot_be_put_off, status="running"),
    ),
    Mutant(
        "a scheduled job cannot be put off",
        "snooze_job",
        "('pending','scheduled','blocked')",
        "('pending','blocked')",
        partial(control.test_job_is_put_off_until_its_new_time, was="scheduled"),
    ),
    Mutant(
        "snooze forgets the parents",
        "snooze_job",
        "WHEN status = 'blocked' THEN 'blocked'",
        "WHEN 0 THEN 'blocked'",
        control.test_job_that_waits_for_another_is_put_off_and_still_waits_for_it,
    ),
    Mutant(
        "snooze keeps the place",
        "snooze_job",
        ", turn = NULL",
        "",
        control.test_put_off_job_loses_its_place_in_the_line,
    ),
    Mutant(
        "snooze keeps the term",
        "snooze_job",
        " expires_at = :expires_at,",
        "",
        control.test_put_off_job_has_its_whole_term_from_its_new_time,
    ),
    Mutant("any job takes an answer", "answer_job", " AND status = 'waiting'", "", no_answer),
    Mutant(
        "the answer is lost",
        "answer_job",
        "answer = :answer",
        "answer = NULL",
        workers.test_answered_job_goes_on_in_its_old_turn,
    ),
    Mutant(
        "an answered job goes to the end of the line",
        "answer_job",
        "status = 'pending',",
        "status = 'pending', turn = NULL,",
        workers.test_answered_job_goes_on_in_its_old_turn,
    ),
    Mutant("ask without any fence", "ask_job", f" AND {FENCE}", "", next_attempt),
    Mutant("ask by any worker", "ask_job", FENCE, NO_WORKER, another_worker),
    Mutant("ask of any attempt", "ask_job", FENCE, NO_ATTEMPT, next_attempt),
    Mutant(
        "ask in any status",
        "ask_job",
        FENCE,
        NO_STATUS,
        contract.test_cancelled_job_takes_no_result,
    ),
    Mutant("who waits still has its worker", "ask_job", "worker_id = NULL, ", "", left_alone),
    Mutant("who waits keeps its lease", "ask_job", ", lease_until = NULL", "", left_alone),
    Mutant(
        "a new question has the old answer",
        "ask_job",
        " answer = NULL,",
        "",
        workers.test_second_question_is_owed_too_and_has_no_old_answer,
    ),
    Mutant(
        "rescues are not counted",
        "rescue_job",
        "rescues = rescues + 1",
        "rescues = rescues",
        workers.test_rescues_are_counted,
    ),
    Mutant("a predecessor stays", "slot_taken", "slot = :slot AND ", "0 AND ", predecessor),
    Mutant("every other worker is gone", "slot_taken", "slot = :slot AND ", "", predecessor),
    Mutant("a worker takes its own slot away", "slot_taken", " AND id <> :id", "", draining),
    Mutant(
        "a draining worker is busy again",
        "worker_claimed",
        " AND state <> 'draining'",
        "",
        draining,
    ),
    Mutant("a claim makes nobody busy", "worker_claimed", "state = 'busy', ", "", counted),
    Mutant(
        "all workers beat as one",
        "worker_beat",
        " WHERE id = :id",
        "",
        workers.test_heartbeat_is_a_sign_of_life,
    ),
    Mutant("failures are not counted", "worker_ended", "failed + :failed", "failed", counted),
]


@pytest.mark.parametrize("mutant", [*OF_TURNS, *OF_CONTROL], ids=lambda mutant: mutant.name)
async def test_mutant_is_caught(mutant: Mutant, open_store: OpenStore, clock: FakeClock) -> None:
    queue = Queue(store=await open_store(sql=mutant.sql()), clock=clock, jitter=lambda: 0.0)

    with pytest.raises(CAUGHT):
        await mutant.check(queue, clock)


# --- what is not in one statement -----------------------------------------------------------------

TAKE = "UPDATE jobs SET status = 'running', worker_id = :worker_id, attempt = attempt + 1"
IN_TWO_STEPS: Final = {
    "head": "SELECT id FROM jobs WHERE status = 'pending' ORDER BY priority DESC, turn, id LIMIT 1",
    "take": f"{TAKE}, lease_until = 1e9, boot_id = 'boot-1' WHERE id = :id RETURNING *",
}


class TwoSteps(Queue):
    """Looks for the next job first and takes it then."""

    looked: asyncio.Barrier

    async def claim(self, claimant: Claimant | str) -> Job | None:
        job_id = await self.store.read(lambda tx: tx.value("head"))
        await self.looked.wait()  # the worst moment for both
        row = await self.store.write(lambda tx: tx.one("take", id=job_id, worker_id=str(claimant)))
        return None if row is None else Job.from_row(row)


async def test_claim_in_two_steps_is_caught(open_store: OpenStore, clock: FakeClock) -> None:
    store = await open_store(sql={**statements(), **IN_TWO_STEPS})
    queue = TwoSteps(store=store, clock=clock)
    queue.looked = asyncio.Barrier(2)

    with pytest.raises(AssertionError):
        await contract.test_job_is_claimed_once(queue, clock)


class OneClock(FakeClock):
    """Leases on the clock that people set."""

    def monotonic(self) -> float:
        return self.now().timestamp()


async def test_lease_on_the_wall_clock_is_caught(open_store: OpenStore) -> None:
    clock = OneClock()
    queue = Queue(store=await open_store(), clock=clock, jitter=lambda: 0.0)

    with pytest.raises(AssertionError):
        await contract.test_change_of_the_wall_clock_ends_no_lease(queue, clock)


class BegunByAttempts(Queue):
    """Takes the number of attempts for a sign that a job has begun."""

    def claim_in(self, tx: Tx, who: Claimant) -> Job | None:
        job = super().claim_in(tx, who)
        if job is not None and job.attempt > 1 and (job.expires_at or "") <= self._now():
            self.fail_in(tx, job, EXPIRED, again=False)
            return None
        return job


async def test_term_that_ends_what_had_begun_is_caught(
    open_store: OpenStore, clock: FakeClock
) -> None:
    queue = BegunByAttempts(store=await open_store(), clock=clock, jitter=lambda: 0.0)

    with pytest.raises(AssertionError):
        await control.test_job_that_had_begun_is_never_too_old(queue, clock, how="rescued")


# What the schema does of itself can be wrong as well.
SCHEMA_MUTANTS: Final[dict[str, tuple[str, str, str, Check]]] = {
    "rows by hand are all of one turn": (
        "jobs_added_take_a_turn",
        "max(turn) + 1",
        "max(turn)",
        partial(busy_chat, by_hand=True),
    ),
    "rows by hand go to the end of the line": (
        "jobs_added_take_a_turn",
        "min(turn)",
        "max(turn)",
        partial(busy_chat, by_hand=True),
    ),
    "rows by hand go to the lowest turn there is": (
        "jobs_added_take_a_turn",
        "AND turn > coalesce((SELECT turn FROM turns WHERE priority = NEW.priority), -1)",
        "",
        partial(newcomer, by_hand=True),
    ),
    "what is due goes first": (
        "jobs_due_take_a_turn",
        "max(turn) + 1",
        "-5",
        fairness.test_thousands_that_are_retried_do_not_push_in_front_of_others,
    ),
    "a claim moves nothing": (
        "jobs_claimed_move_the_line",
        "NEW.status = 'running'",
        "0",
        newcomer,
    ),
    "a claim moves the line back": (
        "jobs_claimed_move_the_line",
        " WHERE excluded.turn > turns.turn",
        "",
        fairness.test_newcomer_does_not_pass_others_when_an_old_job_was_claimed_again,
    ),
    "a worker with one more job is idle": (
        "jobs_left_their_worker",
        "NOT EXISTS (",
        "1 OR EXISTS (",
        counted,
    ),
    "a worker is busy for ever": (
        "jobs_left_their_worker",
        "SET state = 'idle'",
        "SET state = 'busy'",
        counted,
    ),
    "what is ended by hand keeps its worker busy": (
        "jobs_left_their_worker",
        "NEW.status <> 'running'",
        "NEW.status NOT IN ('running', 'cancelled')",
        workers.test_worker_of_a_cancelled_job_is_idle,
    ),
}


@pytest.mark.parametrize("name", SCHEMA_MUTANTS)
async def test_trigger_that_is_wrong_is_caught(
    name: str, open_store: OpenStore, clock: FakeClock
) -> None:
    trigger, old, new, check = SCHEMA_MUTANTS[name]
    steps = []
    for step in migrations():
        before, begin, rest = step.partition(f"CREATE TRIGGER {trigger} ")
        body, end, after = rest.partition("END;")
        assert not begin or body.count(old) == 1, f"{trigger} no longer says {old!r}"
        steps.append(before + begin + body.replace(old, new) + end + after)
    assert steps != list(migrations())
    queue = Queue(store=await open_store(steps=steps), clock=clock, jitter=lambda: 0.0)

    with pytest.raises(CAUGHT):
        await check(queue, clock)
