-- name: insert_file_question
-- A file came without a word; once for each update.
INSERT INTO file_questions (update_id, chat_id, thread_id, message_id, files, until)
VALUES (:update_id, :chat_id, :thread_id, :message_id, :files, :until)
ON CONFLICT (update_id) DO NOTHING

-- name: file_questions
-- What nobody has said anything about yet, oldest first.
SELECT * FROM file_questions ORDER BY update_id

-- name: file_question
-- One of them.
SELECT * FROM file_questions WHERE update_id = :update_id

-- name: file_question_until
-- Words sent by then belong to it.
UPDATE file_questions SET until = :until WHERE update_id = :update_id

-- name: file_question_over
-- Somebody has said what it is for.
DELETE FROM file_questions WHERE update_id = :update_id

-- name: file_questions_over
-- A new conversation: what came before it is not asked about any more.
DELETE FROM file_questions WHERE chat_id = :chat_id AND thread_id = :thread_id

-- name: sent_message
-- The message that a delivery became.
SELECT message_id FROM deliveries WHERE dedupe_key = :dedupe_key
