"""What people can do with jobs beside adding them: many at once, trees, later, too late, answers.

As in test_queue_contract.py, a check that takes a queue and a clock and nothing else is run by
test_queue_mutants_control.py against broken queues too.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from fakes import START, FakeClock, a_job, claimed, everything, finish_and_claim, shell
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transactions import watched

from bridge.clock import stamp
from bridge.errors import JobNotFound, JobRefused, LeaseLost
from bridge.leases import EXPIRED_AT_ONCE_MAX
from bridge.line import Claimant
from bridge.models import Job, JobStatus
from bridge.queue import Queue

A, B = "w1:11:a", "w2:22:b"
PENDING, SCHEDULED, BLOCKED = JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.BLOCKED
RUNNING, WAITING, DONE = JobStatus.RUNNING, JobStatus.WAITING, JobStatus.DONE
FAILED, CANCELLED = JobStatus.FAILED, JobStatus.CANCELLED


async def statuses(queue: Queue) -> list[JobStatus]:
    """Where all jobs stand, the oldest first."""
    return [job.status for job in reversed(await queue.jobs(limit=1_000))]


async def failed(queue: Queue, **changes: Any) -> Job:
    """A job that failed for good."""
    return await queue.fail(await claimed(queue, A, **changes), "boom", again=False)


def owed(queue: Queue, kind: str) -> list[Any]:
    """The jobs whose deliveries of one kind are owed, oldest first."""
    sql = "SELECT payload FROM deliveries WHERE kind = :kind ORDER BY id"
    return [json.loads(row["payload"])["job"] for row in shell(queue.store.path, sql, kind=kind)]


def history(queue: Queue, job_id: int) -> list[tuple[str, str]]:
    """What happened to a job: event and message."""
    sql = "SELECT event, message FROM job_events WHERE job_id = :id ORDER BY id"
    return [(row["event"], row["message"]) for row in shell(queue.store.path, sql, id=job_id)]


# --- many at once ---------------------------------------------------------------------------------


async def test_hundred_jobs_are_added_in_one_commit(queue: Queue, clock: FakeClock) -> None:
    commits = await watched(queue.store)

    jobs = await queue.add_many([a_job(prompt=str(number)) for number in range(100)])

    assert [job.id for job in jobs] == list(range(1, 101))
    assert [job.prompt for job in reversed(await queue.jobs(limit=200))] == [
        str(number) for number in range(100)
    ]
    (commit,) = commits
    assert commit.count("insert_job") == 100


async def test_all_of_many_jobs_are_added_or_none(queue: Queue, clock: FakeClock) -> None:
    before = everything(queue)
    for wrong in (a_job(prompt=" "), a_job(after=(99,)), a_job(data="{")):
        with pytest.raises(JobRefused):
            await queue.add_many([a_job(), a_job(), wrong, a_job()])

    assert everything(queue) == before


async def test_job_that_is_there_already_is_one_of_the_many(queue: Queue, clock: FakeClock) -> None:
    twice = a_job(unique_key="daily")

    jobs = await queue.add_many([a_job(), twice, a_job(source="update:1:0"), twice])

    assert [job.id for job in jobs] == [1, 2, 3, 2]
    assert await queue.add_many([]) == []


# --- the end of one and the claim of the next -----------------------------------------------------


async def test_finish_and_next_claim_are_one_commit(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.add(a_job(chat_id="8"))
    commits = await watched(queue.store)

    following = await finish_and_claim(queue, job, "42", A)

    assert following is not None
    assert (following.id, following.status, following.attempt) == (2, RUNNING, 1)
    assert await statuses(queue) == [DONE, RUNNING]
    assert owed(queue, "result") == [job.id]
    (commit,) = commits
    assert [name for name in commit if name in ("finish_job", "take_job")] == [
        "finish_job",
        "take_job",
    ]
    assert await queue.held(A) == {(2, 1)}


async def test_who_lost_the_lease_finishes_nothing_and_claims_nothing(
    queue: Queue, clock: FakeClock
) -> None:
    late = await claimed(queue, A)
    clock.advance(31)
    await queue.rescue(B)
    before = everything(queue)

    with pytest.raises(LeaseLost):
        await finish_and_claim(queue, late, "late", A)

    assert everything(queue) == before


async def test_finish_without_a_next_job_is_a_finish(queue: Queue, clock: FakeClock) -> None:
    assert await finish_and_claim(queue, await claimed(queue, A), "42", A) is None

    assert await statuses(queue) == [DONE]


# --- trees ----------------------------------------------------------------------------------------


async def a_tree(queue: Queue) -> list[int]:
    """A running root; what waits for it, runs anyway, was started by it; and one outside."""
    root = await claimed(queue, A)
    after = await queue.add(a_job(after=(root.id,)))
    anyway = await queue.add(a_job(after=(root.id,), if_parent_fails="run"))
    started = await queue.add(a_job(parent_id=root.id))
    later = await queue.add(a_job(parent_id=started.id, run_at="2026-11-22 08:30:00.000"))
    last = await queue.add(a_job(after=(after.id, later.id), if_parent_fails="run"))
    await queue.add(a_job())
    return [root.id, after.id, anyway.id, started.id, later.id, last.id]


async def test_tree_is_cancelled_whole_and_others_are_not_touched(
    queue: Queue, clock: FakeClock
) -> None:
    tree = await a_tree(queue)

    gone = await queue.cancel_tree(tree[0])

    assert sorted(job.id for job in gone) == tree
    assert {job.status for job in gone} == {CANCELLED}
    assert await statuses(queue) == [*[CANCELLED] * 6, PENDING]
    assert await queue.held(A) == set()


async def test_tree_is_cancelled_in_one_commit_and_nothing_of_it_starts_in_between(
    queue: Queue, clock: FakeClock
) -> None:
    tree = await a_tree(queue)
    commits = await watched(queue.store)

    await queue.cancel_tree(tree[0])

    assert len(commits) == 1
    for job_id in tree[1:]:
        assert [event for event, _ in history(queue, job_id)] == ["added", "cancelled"]


async def test_large_tree_is_cancelled_in_several_commits_so_that_others_get_a_turn(
    queue: Queue, clock: FakeClock
) -> None:
    root = await claimed(queue, A)
    await queue.add_many([a_job(parent_id=root.id, after=(root.id,)) for _ in range(249)])
    commits = await watched(queue.store)

    gone = await queue.cancel_tree(root.id)

    assert [job.id for job in gone] == list(range(1, 251))
    assert [commit.count("cancel_job") for commit in commits] == [100, 100, 50]
    assert "live_tree" in commits[-1]


async def test_branch_is_cancelled_without_the_rest_of_its_tree(
    queue: Queue, clock: FakeClock
) -> None:
    tree = await a_tree(queue)

    gone = await queue.cancel_tree(tree[3])

    assert sorted(job.id for job in gone) == [tree[3], tree[4], tree[5]]
    assert (await statuses(queue))[:3] == [RUNNING, BLOCKED, BLOCKED]


async def test_ended_jobs_of_a_tree_stay_as_they_are_and_what_follows_them_ends(
    queue: Queue, clock: FakeClock
) -> None:
    root = await claimed(queue, A)
    child = await claimed(queue, A, parent_id=root.id)
    grandchild = await queue.add(a_job(parent_id=child.id))
    done = await queue.finish(child, "42")
    await queue.finish(root, "43")
    clock.advance(1)

    assert [job.id for job in await queue.cancel_tree(root.id)] == [grandchild.id]

    assert await queue.get(child.id) == done
    assert await statuses(queue) == [DONE, DONE, CANCELLED]
    assert await queue.cancel_tree(root.id) == []


async def test_tree_that_waits_for_an_answer_is_cancelled_too(
    queue: Queue, clock: FakeClock
) -> None:
    root = await claimed(queue, A)
    asking = await claimed(queue, A, parent_id=root.id)
    await queue.ask(asking, "Which one?")
    await queue.finish(root, "43")

    await queue.cancel_tree(root.id)

    assert await statuses(queue) == [DONE, CANCELLED]


async def test_tree_of_another_chat_is_not_found(queue: Queue, clock: FakeClock) -> None:
    tree = await a_tree(queue)

    for job_id, chat_id in ((tree[0], "8"), (99, None)):
        with pytest.raises(JobNotFound, match=f"There is no job {job_id}"):
            await queue.cancel_tree(job_id, chat_id=chat_id)

    assert CANCELLED not in await statuses(queue)


# --- retry of all ---------------------------------------------------------------------------------


async def test_all_failed_jobs_of_a_kind_run_again(queue: Queue, clock: FakeClock) -> None:
    await failed(queue, kind="browser")
    await failed(queue, kind="code")
    await failed(queue, kind="browser", chat_id="8")
    await queue.cancel((await queue.add(a_job(kind="browser"))).id)

    assert await queue.retry_all(kind="browser", chat_id="7") == [1]
    assert await queue.retry_all(kind="browser") == [3]
    assert await queue.retry_all() == [2]
    assert await queue.retry_all() == []

    assert await statuses(queue) == [PENDING, PENDING, PENDING, CANCELLED]


async def test_failed_job_whose_key_lives_stays_failed_when_all_are_retried(
    queue: Queue, clock: FakeClock
) -> None:
    await failed(queue, unique_key="daily")
    await failed(queue)
    await queue.add(a_job(unique_key="daily"))

    assert await queue.retry_all() == [2]

    assert await statuses(queue) == [FAILED, PENDING, PENDING]


async def test_of_two_failed_jobs_with_one_key_one_runs_again(
    queue: Queue, clock: FakeClock
) -> None:
    await failed(queue, unique_key="daily")
    await failed(queue, unique_key="daily")

    assert await queue.retry_all() == [1]

    assert await statuses(queue) == [PENDING, FAILED]


async def test_hundreds_are_retried_in_several_commits_so_that_others_get_a_turn(
    queue: Queue, clock: FakeClock
) -> None:
    await queue.add_many([a_job() for _ in range(250)])
    shell(queue.store.path, "UPDATE jobs SET status = 'failed'")
    commits = await watched(queue.store)

    assert len(await queue.retry_all()) == 250

    assert {"pending"} == {str(status) for status in await statuses(queue)}
    assert max(commit.count("retry_job") for commit in commits) == 100


# --- not now --------------------------------------------------------------------------------------


@pytest.mark.parametrize("was", ["pending", "scheduled"])
async def test_job_is_put_off_until_its_new_time(queue: Queue, clock: FakeClock, was: str) -> None:
    at = "2026-11-22 07:31:00.000" if was == "scheduled" else None
    job = await queue.add(a_job(run_at=at))

    later = await queue.snooze(job.id, START + timedelta(seconds=90))

    assert (later.status, later.run_at) == (SCHEDULED, "2026-11-22 07:31:30.000")
    assert history(queue, job.id)[-1] == ("snoozed", "until 2026-11-22 07:31:30.000 UTC")
    clock.advance(89)
    assert await queue.claim(A) is None
    clock.advance(1)
    assert await queue.claim(A) is not None


async def test_job_that_waits_for_another_is_put_off_and_still_waits_for_it(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,)))

    assert (await queue.snooze(child.id, START + timedelta(seconds=90))).status is BLOCKED

    await queue.finish(parent, "42")
    assert (await queue.get(child.id)).status is SCHEDULED
    clock.advance(90)
    assert await queue.claim(A) is not None


async def test_put_off_job_loses_its_place_in_the_line(queue: Queue, clock: FakeClock) -> None:
    for _ in range(3):
        await queue.add(a_job())

    await queue.snooze(1, START + timedelta(seconds=1))
    clock.advance(1)

    taken = [await queue.claim(A) for _ in range(3)]
    assert [job and job.id for job in taken] == [2, 3, 1]


@pytest.mark.parametrize("status", ["running", "waiting", "done", "failed", "cancelled"])
async def test_job_that_has_begun_or_ended_cannot_be_put_off(
    queue: Queue, clock: FakeClock, status: str
) -> None:
    job = await claimed(queue, A)
    shell(queue.store.path, "UPDATE jobs SET status = :status", status=status)
    before = everything(queue)

    with pytest.raises(JobRefused) as refused:
        await queue.snooze(job.id, START + timedelta(seconds=90))

    assert str(refused.value) == f"Job 1 is {status}: only one that waits can be put off."
    assert everything(queue) == before


async def test_only_an_own_job_can_be_put_off(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(chat_id="8"))

    with pytest.raises(JobNotFound):
        await queue.snooze(job.id, START + timedelta(seconds=90), chat_id="7")

    assert await statuses(queue) == [PENDING]


async def test_put_off_job_has_its_whole_term_from_its_new_time(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job(max_age_s=60))

    later = await queue.snooze(job.id, START + timedelta(days=30))

    assert later.expires_at == stamp(START + timedelta(days=30, seconds=60))


# --- too late -------------------------------------------------------------------------------------


async def test_job_that_is_too_old_fails_and_its_user_is_told_once(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job(max_age_s=60))
    clock.advance(60)

    assert await queue.claim(A) is None

    late = await queue.get(job.id)
    assert (late.status, late.error, late.worker_id) == (FAILED, "expired", A)
    assert owed(queue, "failure") == [job.id]
    assert await queue.claim(A) is None
    assert owed(queue, "failure") == [job.id]
    assert await queue.held(A) == set()


async def test_job_just_young_enough_runs(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(max_age_s=60))
    clock.advance(59.9)

    assert await queue.claim(A) is not None


async def test_age_counts_from_when_a_job_could_start(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(run_at="2026-11-23 07:30:00.000", max_age_s=60))

    assert job.expires_at == "2026-11-23 07:31:00.000"
    clock.advance(86_400)
    assert await queue.claim(A) is not None


async def test_job_without_a_limit_never_grows_too_old(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(max_age_s=None))
    shell(queue.store.path, "INSERT INTO jobs (chat_id, prompt) VALUES ('8', 'By hand')")
    clock.advance(400 * 86_400)

    assert await queue.claim(A) is not None
    assert await queue.claim(A) is not None


async def test_job_is_kept_for_a_week_unless_told_otherwise(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job())

    assert job.expires_at == stamp(START + timedelta(days=7))


@pytest.mark.parametrize("how", ["rescued", "given back", "failed once", "answered"])
async def test_job_that_had_begun_is_never_too_old(
    queue: Queue, clock: FakeClock, how: str
) -> None:
    job = await claimed(queue, A, max_age_s=60)
    clock.advance(31)
    if how == "rescued":
        await queue.rescue(B)
    elif how == "given back":
        await queue.give_back(job)
    elif how == "failed once":
        await queue.fail(job, "boom")
    else:
        await queue.ask(job, "Which one?")
        await queue.answer(job.id, "The blue one")
    clock.advance(1_000)

    again = await queue.claim(B)

    assert again is not None
    assert again.attempt == 2


async def test_retried_job_has_a_new_term_and_can_miss_it_too(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job(max_age_s=60))
    clock.advance(61)
    assert await queue.claim(A) is None

    again = await queue.retry(job.id)

    assert again.expires_at == stamp(clock.now() + timedelta(seconds=60))
    clock.advance(60)
    assert await queue.claim(A) is None
    assert (await queue.get(job.id)).error == "expired"
    await queue.retry(job.id)
    assert await queue.claim(A) is not None


async def test_what_waits_for_a_job_that_is_too_old_follows_its_rule(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await queue.add(a_job(max_age_s=60))
    await queue.add(a_job(after=(parent.id,)))
    await queue.add(a_job(after=(parent.id,), if_parent_fails="run"))
    clock.advance(61)

    taken = await queue.claim(A)

    assert taken is not None
    assert taken.id == 3
    assert await statuses(queue) == [FAILED, CANCELLED, RUNNING]


async def test_many_jobs_that_are_too_old_do_not_keep_a_good_one_waiting(
    queue: Queue, clock: FakeClock
) -> None:
    count = 2 * EXPIRED_AT_ONCE_MAX + 5
    await queue.add_many([a_job(max_age_s=60) for _ in range(count)])
    good = await queue.add(a_job())
    clock.advance(61)
    queue.store.wake.listen("worker-1")
    await queue.store.wake.wait(0.001)

    assert await queue.claim(A) is None
    assert await queue.store.wake.wait(5), "nobody is told that there may be more behind them"
    assert await queue.claim(A) is None
    taken = await queue.claim(A)

    assert taken is not None
    assert taken.id == good.id
    assert (await statuses(queue)).count(FAILED) == count


# --- when a parent fails --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
async def test_job_that_runs_anyway_runs_however_its_parent_ends(
    queue: Queue, clock: FakeClock, end: str
) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,), if_parent_fails="run"))
    assert child.status is BLOCKED

    if end == "done":
        await queue.finish(parent, "42")
    elif end == "failed":
        await queue.fail(parent, "boom", again=False)
    else:
        await queue.cancel(parent.id)

    taken = await queue.claim(A)
    assert taken is not None
    assert taken.id == child.id


async def test_job_that_runs_anyway_waits_for_all_its_parents(
    queue: Queue, clock: FakeClock
) -> None:
    first, second = await claimed(queue, A), await claimed(queue, A)
    child = await queue.add(a_job(after=(first.id, second.id), if_parent_fails="run"))

    await queue.fail(first, "boom", again=False)
    assert (await queue.get(child.id)).status is BLOCKED

    await queue.cancel(second.id)
    assert (await queue.get(child.id)).status is PENDING


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_job_that_runs_anyway_may_be_added_after_the_bad_end(
    queue: Queue, clock: FakeClock, end: str
) -> None:
    parent = await failed(queue) if end == "failed" else await queue.add(a_job())
    await queue.cancel(parent.id)

    child = await queue.add(a_job(after=(parent.id,), if_parent_fails="run"))

    assert child.status is PENDING


async def test_choice_for_a_failing_parent_is_in_the_history(
    queue: Queue, clock: FakeClock
) -> None:
    await claimed(queue, A)
    await queue.add(a_job())

    for rule in ("run", "cancel"):
        await queue.add(a_job(after=(1, 2), if_parent_fails=rule))

    assert history(queue, 3) == [("added", "after 1, 2; then or when one fails")]
    assert history(queue, 4) == [("added", "after 1, 2; cancelled if one fails")]


async def test_reason_of_a_job_cancelled_with_its_parent_is_in_the_history(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,)))

    await queue.fail(parent, "boom", again=False)

    assert ("parent_failed", "job 1") in history(queue, child.id)


async def test_end_of_a_parent_by_hand_lets_a_job_run_that_runs_anyway(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,), if_parent_fails="run"))
    shell(queue.store.path, "UPDATE jobs SET status = 'failed' WHERE id = :id", id=parent.id)

    await queue.rescue(A)

    assert (await queue.get(child.id)).status is PENDING


async def test_retry_of_a_job_whose_parent_failed_runs_it(queue: Queue, clock: FakeClock) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,)))
    await queue.fail(parent, "boom", again=False)
    assert (await queue.get(child.id)).status is CANCELLED

    assert (await queue.retry(child.id)).status is PENDING

    taken = await queue.claim(A)
    assert taken is not None
    assert taken.id == child.id


async def test_retried_job_whose_parent_failed_waits_for_the_other_one_and_then_runs(
    queue: Queue, clock: FakeClock
) -> None:
    bad, good = await claimed(queue, A), await claimed(queue, A)
    child = await queue.add(a_job(after=(bad.id, good.id)))
    await queue.fail(bad, "boom", again=False)

    assert (await queue.retry(child.id)).status is BLOCKED
    await queue.rescue(B)
    assert (await queue.get(child.id)).status is BLOCKED

    await queue.finish(good, "42")
    assert (await queue.get(child.id)).status is PENDING


# --- any order ------------------------------------------------------------------------------------


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    links=st.lists(
        st.tuples(st.sampled_from(["after", "run", "parent", "none"]), st.integers(0, 9)),
        min_size=1,
        max_size=10,
    ),
    root=st.integers(0, 9),
)
async def test_cancelled_tree_is_exactly_what_can_be_reached(
    queue: Queue, links: list[tuple[str, int]], root: int
) -> None:
    ids: list[int] = []
    came_from: dict[int, int] = {}
    for kind, number in links:
        parent = ids[number % len(ids)] if ids and kind != "none" else None
        after = (parent,) if parent is not None and kind != "parent" else ()
        job = await queue.add(
            a_job(
                after=after,
                parent_id=parent if kind == "parent" else None,
                if_parent_fails="run" if kind == "run" else "cancel",
            )
        )
        ids.append(job.id)
        if parent is not None:
            came_from[job.id] = parent
    tree = {ids[root % len(ids)]}
    for job_id in ids:
        if came_from.get(job_id) in tree:
            tree.add(job_id)

    gone = await queue.cancel_tree(ids[root % len(ids)])

    assert {job.id for job in gone} == tree
    for job_id in ids:
        assert ((await queue.get(job_id)).status is CANCELLED) == (job_id in tree)


async def test_job_that_expired_is_no_work_of_the_worker_that_found_it(
    queue: Queue, clock: FakeClock
) -> None:
    await queue.register(Claimant(worker_id=A), pid=11, host="here")
    await queue.add(a_job(max_age_s=60))
    clock.advance(61)

    assert await queue.claim(A) is None

    (worker,) = shell(queue.store.path, "SELECT state, processed, failed FROM workers")
    assert worker == {"state": "idle", "processed": 0, "failed": 0}


async def test_first_claim_of_a_job_whose_card_is_long_there_owes_no_other(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job())
    for sql in ("DELETE FROM deliveries", "INSERT INTO cards (job_id, message_id) VALUES (1, 5)"):
        shell(queue.store.path, sql)

    assert await queue.claim(A) is not None

    assert job.id == 1
    assert owed(queue, "card") == []


async def test_a_permission_that_nobody_gave_in_time_is_refused_and_the_job_goes_on(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue)
    until = stamp(clock.now() + timedelta(days=1))
    await queue.ask(job, "Delete 3 files?", approve_by=until)
    assert await queue.refuse_late() == 0

    clock.advance(86_401)

    assert await queue.refuse_late() == 1
    found = await queue.get(job.id)
    assert found.status is JobStatus.PENDING
    assert found.answer == "Nobody allowed it in time: do not do it."
    assert await queue.refuse_late() == 0


async def test_a_question_waits_for_its_answer_without_end(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue)
    await queue.ask(job, "Which bank?")

    clock.advance(30 * 86_400)

    assert await queue.refuse_late() == 0
    assert (await queue.get(job.id)).status is JobStatus.WAITING
