-- name: insert_job
-- A replayed source stores nothing: the caller finds the first one by job_by_source.
INSERT INTO jobs (chat_id, prompt, status, created_at, title, kind, data, priority, run_at,
                  max_attempts, thread_id, user_id, acknowledgement, request_message_id,
                  unique_key, source)
VALUES (:chat_id, :prompt, :status, :now, :title, :kind, :data, :priority, :run_at,
        :max_attempts, :thread_id, :user_id, :acknowledgement, :request_message_id,
        :unique_key, :source)

-- name: job
-- One job; with a chat_id only if it belongs to that chat.
SELECT * FROM jobs WHERE id = :id AND (:chat_id IS NULL OR chat_id = :chat_id)

-- name: job_by_source
-- The job a replayed request has already made.
SELECT * FROM jobs WHERE source = :source

-- name: live_job_by_key
-- The one job with this unique key that has not ended.
SELECT * FROM jobs WHERE unique_key = :unique_key
   AND status IN ('pending','scheduled','blocked','running','waiting')

-- name: jobs_of
-- Jobs of a chat, newest first; an empty status list means any status.
SELECT * FROM jobs
 WHERE chat_id = :chat_id
   AND (:statuses = '[]' OR status IN (SELECT value FROM json_each(:statuses)))
 ORDER BY id DESC LIMIT :limit OFFSET :offset

-- name: all_jobs
-- Jobs of every chat, newest first; an empty status list means any status.
SELECT * FROM jobs
 WHERE :statuses = '[]' OR status IN (SELECT value FROM json_each(:statuses))
 ORDER BY id DESC LIMIT :limit OFFSET :offset

-- name: live_jobs_of
-- Jobs of a chat that have not ended, oldest first. Asked with every message: an index of its own.
SELECT * FROM jobs INDEXED BY jobs_live
 WHERE chat_id = :chat_id AND status IN ('pending','scheduled','blocked','running','waiting')
 ORDER BY id LIMIT :limit

-- name: count_of_chat
-- How many jobs of a chat stand where.
SELECT status, count(*) AS jobs FROM jobs WHERE chat_id = :chat_id GROUP BY status

-- name: count_by_status
-- How many jobs stand where.
SELECT status, count(*) AS jobs FROM jobs GROUP BY status

-- name: jobs_before
-- How many claimable jobs go before this pending one; counted up to a hundred of either kind.
SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'pending' AND priority > mine.priority
                              LIMIT 100))
     + (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'pending'
                                 AND priority = mine.priority AND id < mine.id LIMIT 100))
  FROM jobs AS mine WHERE mine.id = :id AND mine.status = 'pending'

-- name: claimable
-- May anything be claimed now? Asked before a claim, so that an idle worker writes nothing.
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'pending')
    OR EXISTS (SELECT 1 FROM jobs WHERE status = 'scheduled' AND run_at <= :now)

-- name: next_run_at
-- When the next scheduled job is due.
SELECT min(run_at) FROM jobs WHERE status = 'scheduled'

-- name: promote_due
-- Scheduled jobs whose time has come. Kept out of the claim, so that far-off jobs cost it nothing.
UPDATE jobs SET status = 'pending' WHERE status = 'scheduled' AND run_at <= :now

-- name: claim_job
-- The most urgent, then the oldest pending job, atomically ours; `attempt` fences all later writes.
UPDATE jobs
   SET status = 'running', worker_id = :worker_id, lease_until = :lease_until, boot_id = :boot_id,
       attempt = attempt + 1, started_at = coalesce(started_at, :now)
 WHERE id = (SELECT id FROM jobs INDEXED BY jobs_pending WHERE status = 'pending'
              ORDER BY priority DESC, id LIMIT 1)
RETURNING *

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
                completed_at = :now, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: fail_job
-- An attempt failed: again at run_at, or for good. Fenced.
UPDATE jobs SET status = :status, error = :error, failures = failures + 1, run_at = :run_at,
                completed_at = :completed_at, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: give_back_job
-- A draining worker returns the job: pending again (or at run_at), and no failure counted. Fenced.
UPDATE jobs SET status = :status, run_at = :run_at, step = coalesce(:step, step),
                worker_id = NULL, lease_until = NULL
 WHERE id = :id AND worker_id = :worker_id AND attempt = :attempt AND status = 'running'

-- name: orphans
-- Running jobs whose worker is gone: lease over, another boot, or its slot has a new holder.
SELECT * FROM jobs
 WHERE status = 'running' AND (lease_until IS NULL OR lease_until < :monotonic
       OR boot_id IS NOT :boot_id
       OR (substr(worker_id, 1, length(:slot) + 1) = :slot || ':' AND worker_id <> :worker_id))

-- name: rescue_job
-- Take a job back from a dead worker; the attempt counts as a failure.
UPDATE jobs SET status = :status, failures = failures + 1, worker_id = NULL, lease_until = NULL,
                error = :error, completed_at = :completed_at
 WHERE id = :id AND attempt = :attempt AND status = 'running'
RETURNING *

-- name: cancel_job
-- Whoever runs it sees the status and stops.
UPDATE jobs SET status = 'cancelled', completed_at = :now, lease_until = NULL
 WHERE id = :id AND status IN ('pending','scheduled','blocked','running','waiting')
RETURNING *

-- name: retry_job
-- Run it again from its last finished step, with all its attempts.
UPDATE jobs SET status = CASE WHEN EXISTS (
                  SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                   WHERE job_id = jobs.id AND parent.status <> 'done')
                THEN 'blocked' ELSE 'pending' END,
                failures = 0, error = NULL, result = NULL, run_at = NULL,
                started_at = NULL, completed_at = NULL, worker_id = NULL, step = ''
 WHERE id = :id AND status IN ('failed','cancelled')
RETURNING *

-- name: insert_after
-- This job waits for that one.
INSERT OR IGNORE INTO job_after (job_id, after_id) VALUES (:job_id, :after_id)

-- name: unblock
-- Jobs that waited for this one and now wait for nothing.
UPDATE jobs SET status = CASE WHEN run_at > :now THEN 'scheduled' ELSE 'pending' END
 WHERE status = 'blocked' AND id IN (SELECT job_id FROM job_after WHERE after_id = :after_id)
   AND NOT EXISTS (SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                    WHERE job_id = jobs.id AND parent.status <> 'done')

-- name: stranded
-- Jobs blocked by one that has ended by hand: nobody was there to tell them.
SELECT id, EXISTS (SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                    WHERE job_id = jobs.id AND parent.status IN ('failed','cancelled')) AS in_vain
  FROM jobs INDEXED BY jobs_blocked WHERE status = 'blocked'
   AND (in_vain OR NOT EXISTS (SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                                WHERE job_id = jobs.id AND parent.status <> 'done'))

-- name: unblock_job
-- A stranded job has nothing left to wait for but its time.
UPDATE jobs SET status = CASE WHEN run_at > :now THEN 'scheduled' ELSE 'pending' END
 WHERE id = :id AND status = 'blocked'

-- name: waiting_for
-- Jobs still blocked by this one.
SELECT id FROM jobs WHERE status = 'blocked'
   AND id IN (SELECT job_id FROM job_after WHERE after_id = :after_id)

-- name: insert_event
-- One line of a job's history.
INSERT INTO job_events (job_id, at, attempt, event, message)
VALUES (:job_id, :now, :attempt, :event, :message)

-- name: events_of
-- The history of a job, oldest first.
SELECT at, attempt, event, message FROM job_events WHERE job_id = :job_id ORDER BY id

-- name: insert_file
-- A file for the user; attaching it again changes only the caption.
INSERT INTO job_files (job_id, path, name, caption) VALUES (:job_id, :path, :name, :caption)
ON CONFLICT (job_id, path) DO UPDATE SET name = excluded.name, caption = excluded.caption

-- name: files_of
-- The files of a job, in the order they were attached.
SELECT path, name, caption FROM job_files WHERE job_id = :job_id ORDER BY id

-- name: oldest_pending
-- Since when the longest waiting job waits.
SELECT min(created_at) FROM jobs WHERE status = 'pending'

-- name: running_jobs
-- What runs now, and where.
SELECT id, worker_id, title, prompt, progress, step, started_at FROM jobs WHERE status = 'running'
