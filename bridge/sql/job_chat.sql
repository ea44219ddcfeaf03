-- name: note_job_message
-- This message shows that job.
INSERT OR REPLACE INTO job_messages (chat_id, message_id, job_id, what)
SELECT :chat_id, :message_id, id, :what FROM jobs WHERE id = :job_id

-- name: job_of_message
-- The job a message shows, if it is one of the same chat.
SELECT jobs.*, job_messages.what AS message_shows
  FROM job_messages JOIN jobs ON jobs.id = job_messages.job_id
 WHERE job_messages.chat_id = :chat_id AND message_id = :message_id AND jobs.chat_id = :chat_id

-- name: open_parents_of
-- What a blocked job still waits for.
SELECT after_id FROM job_after JOIN jobs ON jobs.id = after_id
 WHERE job_id = :job_id AND status NOT IN ('done','failed','cancelled')
 ORDER BY after_id LIMIT :limit

-- name: last_event_at
-- When something was last heard of a job.
SELECT at FROM job_events WHERE job_id = :job_id ORDER BY id DESC LIMIT 1

-- name: last_steps
-- The last steps a job has reported, the newest first.
SELECT at, step FROM job_events WHERE job_id = :job_id AND event = 'progress'
 ORDER BY id DESC LIMIT :limit

-- name: fold_card
-- Show the last steps on a card, or no longer.
UPDATE cards SET unfolded = 1 - unfolded WHERE job_id = :job_id AND final = 0

-- name: raise_job
-- Before all others that wait, also those that were called urgent.
UPDATE jobs SET priority = max(priority, :priority),
       turn = coalesce((SELECT min(turn) - 1 FROM jobs AS other INDEXED BY jobs_pending
                         WHERE other.status = 'pending' AND other.alone = 0
                           AND other.priority = max(jobs.priority, :priority)), turn)
 WHERE id = :id AND status = 'pending'
RETURNING *

-- name: files_of_chat
-- What the jobs of a chat made, the newest first.
SELECT job_files.id, job_id, name, coalesce(completed_at, started_at, created_at) AS at
  FROM job_files JOIN jobs ON jobs.id = job_id
 WHERE jobs.chat_id = :chat_id ORDER BY job_files.id DESC LIMIT :limit

-- name: live_counts
-- How many jobs of a chat that have not ended stand where.
SELECT status, count(*) AS jobs FROM jobs INDEXED BY jobs_live
 WHERE chat_id = :chat_id AND status IN ('pending','scheduled','blocked','running','waiting')
 GROUP BY status

-- name: ended_counts
-- How many jobs of a chat ended how; from the index alone, and without sorting it.
SELECT total(status = 'done') AS done, total(status = 'failed') AS failed,
       total(status = 'cancelled') AS cancelled
  FROM jobs INDEXED BY jobs_ended
 WHERE chat_id = :chat_id AND status IN ('done','failed','cancelled')

-- name: live_page
-- A page of the jobs of a chat that have not ended: what runs first, then the newest.
SELECT * FROM jobs INDEXED BY jobs_live
 WHERE chat_id = :chat_id AND status IN ('pending','scheduled','blocked','running','waiting')
   AND status IN (SELECT value FROM json_each(:statuses))
 ORDER BY status <> 'running', id DESC LIMIT :limit OFFSET :offset

-- name: ended_page
-- A page of those that have ended, the newest first. What is skipped is skipped in the index.
SELECT * FROM jobs WHERE id IN (
  SELECT id FROM jobs INDEXED BY jobs_ended
   WHERE chat_id = :chat_id AND status IN ('done','failed','cancelled')
     AND status IN (SELECT value FROM json_each(:statuses))
   ORDER BY id DESC LIMIT :limit OFFSET :offset)
 ORDER BY id DESC
