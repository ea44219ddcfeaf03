-- name: insert_job
-- A replayed source stores nothing: the caller finds the first one by job_by_source. The turn is
-- what the trigger would give it, without a second write.
INSERT INTO jobs (chat_id, prompt, status, created_at, title, kind, data, priority, run_at,
                  max_attempts, thread_id, user_id, acknowledgement, request_message_id,
                  unique_key, source, if_parent_fails, parent_id, timeout_s, expires_at,
                  max_age_s, schedule_id, continues, persona, turn)
VALUES (:chat_id, :prompt, :status, :created_at, :title, :kind, :data, :priority, :run_at,
        :max_attempts, :thread_id, :user_id, :acknowledgement, :request_message_id,
        :unique_key, :source, :if_parent_fails, :parent_id, :timeout_s, :expires_at,
        :max_age_s, :schedule_id, :continues, :persona,
        CASE WHEN :status = 'pending' THEN max(
          coalesce((SELECT max(turn) + 1 FROM jobs INDEXED BY jobs_line
                     WHERE status = 'pending' AND alone = 0
                       AND chat_id = :chat_id AND priority = :priority), 0),
          coalesce((SELECT min(turn) FROM jobs INDEXED BY jobs_pending
                     WHERE status = 'pending' AND alone = 0 AND priority = :priority
                       AND turn > coalesce((SELECT turn FROM turns WHERE priority = :priority), -1)),
                   (SELECT turn + 1 FROM turns WHERE priority = :priority), 0)) END)

-- name: job
-- One job; with a chat_id only if it belongs to that chat.
SELECT * FROM jobs WHERE id = :id AND (:chat_id IS NULL OR chat_id = :chat_id)

-- name: job_to_show
-- One job with only the beginning of its result, which may be many megabytes.
SELECT id, chat_id, prompt, status, substr(result, 1, :chars) AS result, created_at,
       started_at, completed_at, worker_id, thread_id, user_id, title, kind, data,
       acknowledgement, request_message_id, priority, run_at, attempt, failures,
       max_attempts, progress, step, error, unique_key, source, if_parent_fails, parent_id,
       timeout_s, expires_at, max_age_s, rescues, question, answer, schedule_id, continues,
       options, approve_by, held_by, persona
  FROM jobs WHERE id = :id

-- name: result_bytes
-- The whole result, as the file it is sent as.
SELECT CAST(result AS BLOB) FROM jobs WHERE id = :id

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

-- name: jobs_before
-- How many jobs will start before this pending one, among the first thousand that are more urgent
-- and the first thousand that are as urgent. What is paused or keeps failing goes before nobody, and
-- nothing goes before what itself may not start: that does not wait for its turn.
WITH closed (kind) AS (SELECT CAST(kind AS TEXT) FROM queues UNION
                       SELECT CAST(kind AS TEXT) FROM breakers
                        WHERE :now >= opened_at AND :now < open_until)
SELECT (SELECT count(*) FROM (SELECT kind FROM jobs WHERE status = 'pending' AND alone = 0
                                 AND priority > mine.priority LIMIT 1000)
         WHERE kind NOT IN closed)
     + (SELECT count(*) FROM (SELECT kind FROM jobs WHERE status = 'pending' AND alone = 0
                                 AND priority = mine.priority AND (turn, id) < (mine.turn, mine.id)
                              LIMIT 1000)
         WHERE kind NOT IN closed)
  FROM jobs AS mine
 WHERE mine.id = :id AND mine.status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM closed WHERE kind IN ('*', mine.kind))

-- name: cancel_job
-- Whoever runs it sees the status and stops.
UPDATE jobs SET status = 'cancelled', completed_at = :now, lease_until = NULL
 WHERE id = :id AND status IN ('pending','scheduled','blocked','running','waiting')
RETURNING *

-- name: retry_job
-- Run it again from its last finished step, with all its attempts, at the end of its chat's line. It
-- waits again for parents that have not ended. A part of a job that is over is one of its own now.
UPDATE jobs SET status = CASE WHEN EXISTS (
                  SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                   WHERE job_id = jobs.id AND parent.status NOT IN ('done','failed','cancelled'))
                THEN 'blocked' ELSE 'pending' END,
                failures = 0, error = NULL, result = NULL, run_at = NULL, turn = NULL,
                started_at = NULL, completed_at = NULL, worker_id = NULL, step = '',
                expires_at = :expires_at,
                parent_id = (SELECT id FROM jobs AS parent WHERE parent.id = jobs.parent_id
                                AND parent.status NOT IN ('failed','cancelled'))
 WHERE id = :id AND status IN ('failed','cancelled')
RETURNING *

-- name: drop_failed_parents
-- A person wants it all the same: one that failed is no reason any more.
DELETE FROM job_after WHERE job_id = :job_id
   AND after_id IN (SELECT id FROM jobs WHERE status IN ('failed','cancelled'))

-- name: insert_after
-- This job waits for that one.
INSERT OR IGNORE INTO job_after (job_id, after_id) VALUES (:job_id, :after_id)

-- name: unblock
-- Jobs that waited for this one and now wait for nothing; of very many, the rest is found stranded.
UPDATE jobs SET status = CASE WHEN run_at > :now THEN 'scheduled' ELSE 'pending' END
 WHERE status = 'blocked'
   AND id IN (SELECT job_id FROM job_after WHERE after_id = :after_id LIMIT 200)
   AND NOT EXISTS (SELECT 1 FROM job_after JOIN jobs AS parent ON parent.id = after_id
                    WHERE job_id = jobs.id AND parent.status <> 'done'
                      AND (jobs.if_parent_fails = 'cancel' OR parent.status NOT IN ('failed','cancelled')))

-- name: waiting_for
-- Jobs that are of no use without this one: still blocked by it, or started by it.
SELECT id FROM jobs WHERE status = 'blocked' AND if_parent_fails = 'cancel'
   AND id IN (SELECT job_id FROM job_after WHERE after_id = :after_id)
UNION
SELECT jobs.id FROM jobs JOIN jobs AS parent ON parent.id = jobs.parent_id
 WHERE jobs.parent_id = :after_id AND jobs.chat_id = parent.chat_id
   AND jobs.status IN ('pending','scheduled','blocked','running','waiting')
 LIMIT :limit

-- name: insert_event
-- One line of a job's history.
INSERT INTO job_events (job_id, at, attempt, event, message, level, step, data)
VALUES (:job_id, :now, :attempt, :event, :message, :level, :step, :data)

-- name: events_of
-- The history of a job, oldest first.
SELECT at, attempt, event, level, step, message, data FROM job_events
 WHERE job_id = :job_id ORDER BY id

-- name: insert_file
-- A file for the user; attaching it again changes only the caption.
INSERT INTO job_files (job_id, path, name, caption) VALUES (:job_id, :path, :name, :caption)
ON CONFLICT (job_id, path) DO UPDATE SET name = excluded.name, caption = excluded.caption

-- name: files_to_send
-- The same with their numbers, by which a button names one.
SELECT id AS file, path, name, caption FROM job_files WHERE job_id = :job_id ORDER BY id

-- name: file_of_chat
-- One file of a job of a chat.
SELECT job_files.job_id AS job, path, name, caption
  FROM job_files JOIN jobs ON jobs.id = job_files.job_id
 WHERE job_files.id = :id AND jobs.chat_id = :chat_id

-- name: files_of
-- The files of a job, in the order they were attached.
SELECT path, name, caption FROM job_files WHERE job_id = :job_id ORDER BY id

-- name: live_tree
-- A job, what it started and what waits for it, as far as they have not ended. It comes last: what
-- waits for a job is to be over before the job itself is.
WITH RECURSIVE tree(id) AS (
  SELECT :id
  UNION SELECT job_id FROM job_after JOIN tree ON after_id = tree.id
  UNION SELECT jobs.id FROM jobs JOIN tree ON parent_id = tree.id
)
SELECT id FROM jobs WHERE id IN (SELECT id FROM tree)
   AND status IN ('pending','scheduled','blocked','running','waiting')
 ORDER BY id DESC LIMIT :limit

-- name: dead_ids
-- Failed jobs, oldest first.
SELECT id FROM jobs INDEXED BY jobs_dead WHERE status = 'failed' AND id > :after_id
   AND (:kind IS NULL OR kind = :kind) AND (:chat_id IS NULL OR chat_id = :chat_id)
 ORDER BY id LIMIT :limit

-- name: snooze_job
-- Not before run_at; one that is blocked stays so until then too.
UPDATE jobs SET run_at = :run_at, expires_at = :expires_at, turn = NULL,
                status = CASE WHEN status = 'blocked' THEN 'blocked' ELSE 'scheduled' END
 WHERE id = :id AND status IN ('pending','scheduled','blocked')
RETURNING *

-- name: answer_job
-- What it asked for is there: it goes on.
UPDATE jobs SET status = 'pending', answer = :answer WHERE id = :id AND status = 'waiting'
RETURNING *

-- name: pause_kind
-- Jobs of this kind are left where they are.
INSERT INTO queues (kind, paused_at) VALUES (:kind, :now) ON CONFLICT (kind) DO NOTHING

-- name: resume_kind
-- And are started again.
DELETE FROM queues WHERE kind = :kind

-- name: parents_of
-- What a job waits or waited for.
SELECT after_id FROM job_after WHERE job_id = :job_id ORDER BY after_id

-- name: late_approvals
-- Jobs that asked to be allowed something until a moment that is over.
SELECT * FROM jobs INDEXED BY jobs_approvals
 WHERE status = 'waiting' AND approve_by IS NOT NULL AND approve_by <= :now
 ORDER BY approve_by LIMIT :limit
