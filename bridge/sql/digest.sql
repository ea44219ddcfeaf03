-- name: insert_hushed
-- It came without a sound; sent again after a crash, it is still one.
INSERT INTO hushed (delivery_id, chat_id, job_id, due_at)
VALUES (:delivery_id, :chat_id, :job_id, :due_at)
ON CONFLICT (delivery_id) DO NOTHING

-- name: next_digest_at
-- When the next digest is due.
SELECT min(due_at) FROM hushed

-- name: drop_hushed
-- Too old to be told.
DELETE FROM hushed WHERE due_at < :before

-- name: chats_with_digest
-- Whose quiet hours are over.
SELECT DISTINCT chat_id FROM hushed WHERE due_at <= :now ORDER BY chat_id

-- name: hushed_jobs
-- The jobs of one digest, each once, in the order of their ends.
SELECT jobs.* FROM jobs
  JOIN (SELECT job_id, max(delivery_id) AS last FROM hushed
         WHERE chat_id = :chat_id AND due_at <= :now GROUP BY job_id) AS told
    ON told.job_id = jobs.id
 ORDER BY told.last

-- name: put_off_digest
-- The quiet hours of this chat end later than they did.
UPDATE hushed SET due_at = :due_at WHERE chat_id = :chat_id

-- name: end_digest
-- It is told.
DELETE FROM hushed WHERE chat_id = :chat_id AND due_at <= :now

-- name: move_hushed
-- A group became a supergroup with another id.
UPDATE hushed SET chat_id = :new_id WHERE chat_id = :old_id
