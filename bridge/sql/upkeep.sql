-- name: old_jobs
-- Jobs from the low end: `old` ones may be followed by more, `over` ones may go.
SELECT id, created_at < :before AS old,
       status IN ('done','failed','cancelled') AND completed_at < :before AS over
  FROM jobs WHERE id > :after ORDER BY id LIMIT :limit

-- name: next_chat
-- The next chat that has jobs.
SELECT min(chat_id) FROM jobs INDEXED BY jobs_chat WHERE chat_id > :after

-- name: surplus_end
-- The newest job of a chat that has as many ended ones after it as are kept.
SELECT id FROM jobs INDEXED BY jobs_chat
 WHERE chat_id = :chat_id AND status IN ('done','failed','cancelled')
   AND EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_chat WHERE chat_id = :chat_id
                LIMIT 1 OFFSET :keep)
 ORDER BY id DESC LIMIT 1 OFFSET :keep

-- name: surplus_jobs
-- Ended jobs of a chat up to that one, oldest first.
SELECT id, 1 AS old, status IN ('done','failed','cancelled') AS over
  FROM jobs INDEXED BY jobs_chat WHERE chat_id = :chat_id AND id > :after AND id <= :surplus_end
 ORDER BY id LIMIT :limit

-- name: drop_job
-- An ended job goes with its history, unless something still depends on it.
DELETE FROM jobs WHERE id = :id AND status IN ('done','failed','cancelled')
   AND NOT EXISTS (SELECT 1 FROM deliveries
                    WHERE dedupe_key > 'job:' || :id || ':' AND dedupe_key < 'job:' || :id || ';'
                      AND status IN ('ready','sending','held'))
   AND NOT EXISTS (SELECT 1 FROM cards WHERE job_id = :id AND final = 0)
   AND NOT EXISTS (SELECT 1 FROM job_after JOIN jobs AS waiting ON waiting.id = job_after.job_id
                    WHERE after_id = :id
                      AND waiting.status IN ('pending','scheduled','blocked','running','waiting'))
   AND NOT EXISTS (SELECT 1 FROM jobs AS child WHERE child.parent_id = :id
                      AND child.status IN ('pending','scheduled','blocked','running','waiting'))

-- name: drop_conversation_messages
-- What was said in a conversation.
DELETE FROM messages WHERE conversation = :conversation

-- name: drop_tool_calls
-- What its tools did.
DELETE FROM tool_calls WHERE conversation = :conversation

-- name: drop_conversation
-- The conversation itself.
DELETE FROM conversations WHERE name = :conversation

-- name: old_updates
-- Handled updates; their numbers are not in the order of time, so all are looked at.
SELECT update_id AS id, 1 AS old, state <> 'new' AND received_at < :before AS over
  FROM inbox WHERE update_id > :after ORDER BY update_id LIMIT :limit

-- name: drop_updates
-- They go.
DELETE FROM inbox WHERE update_id IN (SELECT value FROM json_each(:ids)) AND state <> 'new'

-- name: old_deliveries
-- Deliveries from the low end.
SELECT id, created_at < :before AS old,
       status IN ('sent','failed','dropped') AND created_at < :before AS over
  FROM deliveries WHERE id > :after ORDER BY id LIMIT :limit

-- name: drop_deliveries
-- Those that are over go.
DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids))
   AND status IN ('sent','failed','dropped')

-- name: old_usage
-- Requests from the low end.
SELECT id, at < :before AS old, at < :before AS over FROM usage WHERE id > :after
 ORDER BY id LIMIT :limit

-- name: drop_usage
-- They go.
DELETE FROM usage WHERE id IN (SELECT value FROM json_each(:ids))

-- name: next_forgotten
-- The next chat of which the model is no longer shown everything.
SELECT name, first_id FROM conversations
 WHERE name > max(:after, 'chat:') AND name < 'chat;' AND first_id > 0 ORDER BY name LIMIT 1

-- name: old_messages
-- What the model is no longer shown, oldest first.
SELECT id, created_at < :before AS old, created_at < :before AS over FROM messages
 WHERE conversation = :conversation AND id > :after AND id <= :first_id ORDER BY id LIMIT :limit

-- name: drop_messages
-- They go.
DELETE FROM messages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: old_workers
-- Workers that are gone.
SELECT count(*) FROM workers WHERE state = 'gone' AND beat_at < :before

-- name: drop_workers
-- They go.
DELETE FROM workers WHERE state = 'gone' AND beat_at < :before

-- name: live_of
-- Those of these jobs that may still go on.
SELECT id FROM jobs WHERE id IN (SELECT CAST(value AS INTEGER) FROM json_each(:ids))
   AND status IN ('pending','scheduled','blocked','running','waiting')
