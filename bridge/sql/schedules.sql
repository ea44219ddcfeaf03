-- name: insert_schedule
-- A schedule with its first time.
INSERT INTO schedules (chat_id, prompt, cron, every_s, zone, next_at, thread_id, user_id, title,
                       kind, data, priority, created_at)
VALUES (:chat_id, :prompt, :cron, :every_s, :zone, :next_at, :thread_id, :user_id, :title,
        :kind, :data, :priority, :now)

-- name: schedule
-- One schedule; with a chat_id only if it belongs to that chat.
SELECT * FROM schedules WHERE id = :id AND (:chat_id IS NULL OR chat_id = :chat_id)

-- name: schedules_of
-- The schedules of a chat, oldest first.
SELECT * FROM schedules WHERE chat_id = :chat_id ORDER BY id

-- name: all_schedules
-- The schedules of every chat, oldest first.
SELECT * FROM schedules ORDER BY id

-- name: schedules_due
-- Whose time has come, has not been computed yet or is none (a hand-made 'soon' sorts after digits).
SELECT id, next_at FROM schedules WHERE status = 'active' AND next_at <= :now
UNION ALL
SELECT id, next_at FROM schedules WHERE status = 'active' AND next_at IS NULL
UNION ALL
SELECT id, next_at FROM schedules WHERE status = 'active' AND next_at >= '3'

-- name: schedules_from_later
-- Planned at a time that is yet to come: the clock was ahead then and has been set back since.
SELECT * FROM schedules INDEXED BY schedules_due
 WHERE status = 'active' AND next_at > :now AND max(coalesce(last_at, ''), created_at) > :now

-- name: next_schedule_at
-- When the next schedule is due.
SELECT min(next_at) FROM schedules WHERE status = 'active'

-- name: plan_schedule
-- Its next time, when nothing runs now.
UPDATE schedules SET next_at = :next_at WHERE id = :id

-- name: fire_schedule
-- It started a job; the next time is known. What kept it from doing so before is over.
UPDATE schedules SET next_at = :next_at, last_at = :now, last_job_id = :job_id, fired = fired + 1,
                     error = NULL
 WHERE id = :id

-- name: skip_schedule
-- Its job of the time before had not ended: none was started.
UPDATE schedules SET next_at = :next_at, last_at = :now, error = :error WHERE id = :id

-- name: run_schedule
-- A person had it run beside its times: those stay.
UPDATE schedules SET last_job_id = :job_id, fired = fired + 1 WHERE id = :id

-- name: job_of_schedule
-- The job that keeps a schedule from starting one: made for this very time, or not ended yet.
SELECT id, source FROM jobs WHERE source = :source
UNION ALL
SELECT id, source FROM jobs WHERE unique_key = :unique_key
   AND status IN ('pending','scheduled','blocked','running','waiting')

-- name: pause_schedule
-- No more times, by a person (no error) or because its row cannot be used.
UPDATE schedules SET status = 'paused', error = :error WHERE id = :id AND status = 'active'

-- name: resume_schedule
-- It goes on from now; what it missed while it was paused is not made up for.
UPDATE schedules SET status = 'active', error = NULL, next_at = :next_at
 WHERE id = :id AND status = 'paused'

-- name: change_schedule
-- Other words or other times; what it has done, and whether it is paused, stays.
UPDATE schedules SET prompt = :prompt, title = :title, cron = :cron, every_s = :every_s,
                     zone = :zone, next_at = :next_at, error = NULL
 WHERE id = :id

-- name: delete_schedule
-- The schedule is gone; jobs it started stay.
DELETE FROM schedules WHERE id = :id
