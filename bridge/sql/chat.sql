-- name: insert_update
-- An update is ours once this is committed; one that Telegram repeats changes nothing.
INSERT INTO inbox (update_id, received_at, raw) VALUES (:update_id, :now, :raw)
ON CONFLICT (update_id) DO NOTHING

-- name: update_state
-- What is known of an update.
SELECT state FROM inbox WHERE update_id = :update_id

-- name: new_updates
-- What was received and not yet handled, in order.
SELECT update_id, attempts, raw FROM inbox WHERE state = 'new' ORDER BY update_id

-- name: update_tried
-- Counted before handling, so that an update that kills the bridge is found out.
UPDATE inbox SET attempts = attempts + 1 WHERE update_id = :update_id

-- name: update_over
-- Handled, refused or set aside; the text is kept only of what was set aside. Its row may not be
-- there yet when the disk was slower than the handling.
INSERT INTO inbox (update_id, received_at, state) VALUES (:update_id, :now, :state)
ON CONFLICT (update_id) DO UPDATE
   SET state = excluded.state, raw = CASE WHEN excluded.state = 'quarantined' THEN raw END
 WHERE state = 'new'

-- name: update_shown
-- A part of the answer can be read: a bridge that starts again writes the rest into it.
UPDATE inbox SET message_id = :message_id WHERE update_id = :update_id AND state = 'new'

-- name: shown_message
-- The answer to this update as far as it was shown.
SELECT message_id FROM inbox WHERE update_id = :update_id

-- name: forgive_updates
-- The bridge lives, or ended in good order: what still waits is not what stops it.
UPDATE inbox SET attempts = 0 WHERE state = 'new' AND attempts > 0

-- name: count_updates
-- How many updates stand where.
SELECT state, count(*) AS updates FROM inbox GROUP BY state

-- name: insert_message
-- Append to a conversation; the same source twice is one message.
INSERT INTO messages (conversation, role, content, source, stop_reason, created_at)
VALUES (:conversation, :role, :content, :source, :stop_reason, :now)
ON CONFLICT (conversation, source) WHERE source IS NOT NULL DO NOTHING

-- name: messages_of
-- What the model sees of a conversation, oldest first, since the last /new.
SELECT id, role, content, source, stop_reason FROM messages
 WHERE conversation = :conversation
   AND id > coalesce((SELECT first_id FROM conversations WHERE name = :conversation), 0)
 ORDER BY id

-- name: all_messages_of
-- Everything that was said in a conversation, oldest first.
SELECT id, role, content, source, stop_reason FROM messages
 WHERE conversation = :conversation ORDER BY id

-- name: messages_with_files
-- Those of a conversation that refer to files, also what the model is no longer shown.
SELECT content FROM messages
 WHERE conversation = :conversation AND instr(content, '"kitt-file"') ORDER BY id

-- name: size_of_conversation
-- How many messages the model is shown, and how many characters they are.
SELECT count(*) AS messages, coalesce(sum(length(content)), 0) AS chars FROM messages
 WHERE conversation = :conversation
   AND id > coalesce((SELECT first_id FROM conversations WHERE name = :conversation), 0)

-- name: summary_of
-- What was said before these messages, in short, and up to which one.
SELECT first_id, summary, summary_at FROM conversations WHERE name = :conversation

-- name: forget_conversation
-- /new: what was said stays in the file and is no longer shown to the model.
INSERT INTO conversations (name, first_id)
SELECT :conversation, coalesce(max(id), 0) FROM messages WHERE conversation = :conversation
ON CONFLICT (name) DO UPDATE SET first_id = excluded.first_id, summary = NULL, summary_at = NULL

-- name: put_summary
-- It stands for the messages up to first_id; not where another one, or /new, came first.
INSERT INTO conversations (name, first_id, summary, summary_at)
SELECT :conversation, :first_id, :summary, max(id) FROM messages WHERE conversation = :conversation
ON CONFLICT (name) DO UPDATE SET first_id = excluded.first_id, summary = excluded.summary,
                                 summary_at = excluded.summary_at
      WHERE first_id = :since

-- name: frozen
-- System prompt and tools a job started with; a thinking block is valid only under the same ones.
SELECT frozen FROM conversations WHERE name = :conversation

-- name: freeze
-- Keep them; the first ones stay.
INSERT INTO conversations (name, frozen) VALUES (:conversation, :frozen)
ON CONFLICT (name) DO UPDATE SET frozen = coalesce(frozen, excluded.frozen)

-- name: tool_call
-- What is known of a tool call.
SELECT state, result FROM tool_calls WHERE conversation = :conversation AND id = :id

-- name: count_tool_calls
-- How many calls of this tool have begun.
SELECT count(*) FROM tool_calls WHERE conversation = :conversation AND name = :name

-- name: tool_call_started
-- Written before the tool acts.
INSERT INTO tool_calls (id, conversation, name, state)
VALUES (:id, :conversation, :name, 'started')
ON CONFLICT (conversation, id) DO NOTHING

-- name: tool_call_done
-- Its result, as the model will see it.
INSERT INTO tool_calls (id, conversation, name, state, result)
VALUES (:id, :conversation, :name, 'done', :result)
ON CONFLICT (conversation, id) DO UPDATE SET state = 'done', result = excluded.result

-- name: user
-- Who this is to us.
SELECT * FROM users WHERE user_id = :user_id

-- name: put_user
-- Give someone a role; a name or language that changed follows.
INSERT INTO users (user_id, role, name, language) VALUES (:user_id, :role, :name, :language)
ON CONFLICT (user_id) DO UPDATE SET role = excluded.role, name = excluded.name,
                                    language = excluded.language

-- name: remember_user
-- A name or language that changed follows; what they may do stays as it is.
INSERT INTO users (user_id, role, name, language)
VALUES (:user_id, 'stranger', :name, :language)
ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, language = excluded.language
 WHERE (name, language) <> (excluded.name, excluded.language)

-- name: stranger_refused
-- A stranger was answered today.
INSERT INTO users (user_id, role, name, language, refused_at)
VALUES (:user_id, 'stranger', :name, :language, :now)
ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, language = excluded.language,
                                    refused_at = excluded.refused_at

-- name: with_role
-- Everyone who was given this role: `owner` by a claim, the others by an owner.
SELECT user_id FROM users WHERE role = :role

-- name: put_claim
-- A new one-time code; older ones end.
INSERT INTO claims (code_hash, expires_at, tries_left) VALUES (:code_hash, :expires_at, :tries_left)

-- name: drop_claims
-- All codes end.
DELETE FROM claims

-- name: claim_code
-- The code that may be used now.
SELECT code_hash FROM claims WHERE expires_at > :now AND tries_left > 0

-- name: claim_try
-- A wrong code costs one of the tries.
UPDATE claims SET tries_left = tries_left - 1

-- name: meta
-- A fact KITT keeps about itself.
SELECT value FROM meta WHERE name = :name

-- name: put_meta
-- Set it.
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: metas
-- The facts whose names begin so.
SELECT name, value FROM meta WHERE substr(name, 1, length(:prefix)) = :prefix
