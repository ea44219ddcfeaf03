-- name: claimable
-- May anything be claimed now? Asked before a claim, so that an idle worker writes nothing. Each
-- question fits one partial index: with `status` alone it would read every job there ever was.
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'scheduled' AND run_at <= :now)
    OR ((EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND alone = 0)
         OR EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND alone <> 0))
        AND NOT EXISTS (SELECT 1 FROM queues WHERE kind = '*')
        AND NOT EXISTS (SELECT 1 FROM breakers
                         WHERE kind = '*' AND :now >= opened_at AND :now < open_until))

-- name: next_look_at
-- When the next scheduled job is due, or what kept failing may be tried again.
SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE status = 'scheduled'
                     UNION ALL SELECT min(open_until) FROM breakers
                                WHERE :now >= opened_at AND :now < open_until)

-- name: promote_due
-- Scheduled jobs whose time has come. Kept out of the claim, so that far-off jobs cost it nothing;
-- so many at once as nobody has to wait for.
UPDATE jobs SET status = 'pending'
 WHERE id IN (SELECT id FROM jobs WHERE status = 'scheduled' AND run_at <= :now
               ORDER BY run_at, id LIMIT 200)

-- name: closed_kinds
-- What may not start now: it is paused, or needs something that keeps failing. '*' = nothing may.
SELECT CAST(kind AS TEXT) AS kind FROM queues
UNION
SELECT CAST(kind AS TEXT) FROM breakers WHERE :now >= opened_at AND :now < open_until

-- name: head_of_line
-- The job whose turn it is, unless its kind or its chat has to wait.
SELECT id FROM (SELECT id, kind, chat_id FROM jobs INDEXED BY jobs_pending
                 WHERE status = 'pending' AND alone = 0
                 ORDER BY priority DESC, turn, id LIMIT 1)
            AS head
 WHERE (:kinds = '[]' OR head.kind IN (SELECT value FROM json_each(:kinds)))
   AND head.kind NOT IN (SELECT value FROM json_each(:closed))
   AND (SELECT count(*) FROM jobs AS other INDEXED BY jobs_running
         WHERE other.status = 'running' AND other.chat_id = head.chat_id) < :chat_concurrency

-- name: best_of_lanes
-- The head has to wait: the best first job of any kind and chat that need not. One step per kind
-- and chat, however many jobs they have.
WITH RECURSIVE heads(id, kind, chat_id, priority, turn) AS (
  SELECT * FROM (SELECT id, kind, chat_id, priority, turn FROM jobs INDEXED BY jobs_lanes
                  WHERE status = 'pending' AND alone = 0
                  ORDER BY kind, chat_id, priority DESC, turn, id LIMIT 1)
  UNION ALL
  SELECT next.id, next.kind, next.chat_id, next.priority, next.turn
    FROM heads JOIN jobs AS next ON next.id = coalesce(
           (SELECT id FROM jobs INDEXED BY jobs_lanes
             WHERE status = 'pending' AND alone = 0
               AND kind = heads.kind AND chat_id > heads.chat_id
             ORDER BY chat_id, priority DESC, turn, id LIMIT 1),
           (SELECT id FROM jobs INDEXED BY jobs_lanes
             WHERE status = 'pending' AND alone = 0 AND kind > heads.kind
             ORDER BY kind, chat_id, priority DESC, turn, id LIMIT 1))
)
SELECT id FROM heads AS head
 WHERE (:kinds = '[]' OR head.kind IN (SELECT value FROM json_each(:kinds)))
   AND head.kind NOT IN (SELECT value FROM json_each(:closed))
   AND (SELECT count(*) FROM jobs AS other INDEXED BY jobs_running
         WHERE other.status = 'running' AND other.chat_id = head.chat_id) < :chat_concurrency
 ORDER BY priority DESC, turn, id LIMIT 1

-- name: best_alone
-- A job that may have killed a worker, and runs where nothing else does.
SELECT id FROM jobs AS head INDEXED BY jobs_alone
 WHERE status = 'pending' AND alone <> 0
   AND (:kinds = '[]' OR head.kind IN (SELECT value FROM json_each(:kinds)))
   AND head.kind NOT IN (SELECT value FROM json_each(:closed))
   AND (SELECT count(*) FROM jobs AS other INDEXED BY jobs_running
         WHERE other.status = 'running' AND other.chat_id = head.chat_id) < :chat_concurrency
 ORDER BY priority DESC, turn, id LIMIT 1

-- name: first_of
-- Which of two jobs goes first.
SELECT id FROM jobs WHERE id IN (:one, :other) ORDER BY priority DESC, turn, id LIMIT 1

-- name: least_busy
-- Does no other worker of the same kinds run fewer jobs than this one?
SELECT NOT EXISTS (
  SELECT 1 FROM (SELECT worker_id, count(*) AS jobs FROM jobs INDEXED BY jobs_running
                  WHERE status = 'running' AND worker_id <> :worker_id GROUP BY worker_id)
             AS other LEFT JOIN workers ON workers.id = other.worker_id
   WHERE coalesce(workers.kinds, '') = :kinds AND (other.jobs, other.worker_id) < (:jobs, :worker_id))

-- name: take_job
-- Ours, in the transaction that chose it; `attempt` fences all later writes.
UPDATE jobs
   SET status = 'running', worker_id = :worker_id, lease_until = :lease_until, boot_id = :boot_id,
       attempt = attempt + 1, started_at = coalesce(started_at, :now), held_by = ''
 WHERE id = :id AND status = 'pending'
RETURNING *

-- name: load
-- What a worker does now: how many jobs, and is one of them to run alone?
SELECT count(*) AS jobs, coalesce(max(alone), 0) AS alone FROM jobs
 WHERE status = 'running' AND worker_id = :worker_id

-- name: heartbeat
-- Extend the lease of everything this worker still holds.
UPDATE jobs SET lease_until = :lease_until, boot_id = :boot_id
 WHERE worker_id = :worker_id AND status = 'running'
RETURNING id, attempt

-- name: held
-- What this worker still holds.
SELECT id, attempt FROM jobs WHERE worker_id = :worker_id AND status = 'running'

-- name: holds
-- Is this attempt still the one that may write?
SELECT 1 FROM jobs
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'

-- name: progress_job
-- Where the job stands, for its card. Fenced.
UPDATE jobs SET progress = coalesce(:percent, progress), step = :step
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'

-- name: finish_job
-- The one place where a job becomes done. Fenced.
UPDATE jobs SET status = 'done', result = :result, progress = 100, error = NULL,
                completed_at = :now, lease_until = NULL, held_by = :cut_by
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'

-- name: fail_job
-- An attempt failed: again at run_at, or for good. Fenced.
UPDATE jobs SET status = :status, error = :error, failures = failures + 1, run_at = :run_at,
                completed_at = :completed_at, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: give_back_job
-- A draining worker returns the job: pending again, and no failure counted. One that waits until
-- run_at takes a new turn then: what always has to wait must not be first in the line for ever. Fenced.
UPDATE jobs SET status = :status, run_at = :run_at, step = coalesce(:step, step), held_by = :held_by,
                turn = CASE WHEN :run_at IS NULL THEN turn END,
                worker_id = NULL, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'

-- name: orphans
-- Running jobs whose worker is gone: lease over, another boot, or its slot has a new holder.
SELECT * FROM jobs
 WHERE status = 'running' AND (lease_until IS NULL OR lease_until < :monotonic
       OR boot_id IS NOT :boot_id
       OR (substr(worker_id, 1, length(:slot) + 1) = :slot || ':' AND worker_id <> :worker_id))

-- name: rescue_job
-- Take a job back from a dead worker. It is blamed if it ran alone, and else runs alone next time.
UPDATE jobs SET status = :status, failures = failures + :blamed, rescues = rescues + 1,
                alone = max(alone, :alone), worker_id = NULL, lease_until = NULL, error = :error,
                completed_at = :completed_at
 WHERE id = :id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: stranded
-- Jobs blocked by one that has ended by hand: nobody was there to tell them.
SELECT id, (if_parent_fails = 'cancel' AND EXISTS (
              SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
               WHERE job_id = jobs.id AND parent.status IN ('failed','cancelled'))) AS in_vain
  FROM jobs INDEXED BY jobs_blocked WHERE status = 'blocked'
   AND (in_vain OR NOT EXISTS (
          SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
           WHERE job_id = jobs.id AND parent.status NOT IN ('done','failed','cancelled')))
 LIMIT :limit

-- name: unblock_job
-- A stranded job has nothing left to wait for but its time.
UPDATE jobs SET status = CASE WHEN run_at > :now THEN 'scheduled' ELSE 'pending' END
 WHERE id = :id AND status = 'blocked'

-- name: ask_job
-- It needs its user: no worker holds it until the answer is there. Fenced.
UPDATE jobs SET status = 'waiting', question = :question, answer = NULL, options = :options,
                approve_by = :approve_by,
                worker_id = NULL, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: slot_taken
-- Who had this slot before is gone.
UPDATE workers SET state = 'gone', job_id = NULL
 WHERE slot = :slot AND id <> :id AND state <> 'gone'

-- name: worker_is
-- A worker starts, drains or goes.
INSERT INTO workers (id, slot, pid, host, kinds, state, started_at, beat_at)
VALUES (:id, :slot, :pid, :host, :kinds, :state, :now, :now)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, beat_at = excluded.beat_at

-- name: worker_claimed
-- It has something to do.
UPDATE workers SET state = 'busy', job_id = :job_id, beat_at = :now
 WHERE id = :id AND state <> 'draining'

-- name: worker_beat
-- It lives; written only while it works.
UPDATE workers SET beat_at = :now WHERE id = :id

-- name: worker_ended
-- One attempt less. That it may be idle now is seen by a trigger, also when a job is ended by hand.
UPDATE workers SET processed = processed + 1, failed = failed + :failed, beat_at = :now
 WHERE id = :id
