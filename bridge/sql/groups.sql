-- name: groups_of_status
-- The groups that stand so.
SELECT chat_id FROM groups WHERE status = :status

-- name: group
-- What is known of a group.
SELECT * FROM groups WHERE chat_id = :chat_id

-- name: insert_group
-- Somebody brought the bot into a group; one that is known stays as it is.
INSERT INTO groups (chat_id, title, added_by, changed_at)
VALUES (:chat_id, :title, :added_by, :now)
ON CONFLICT (chat_id) DO NOTHING

-- name: decide_group
-- An owner decides, once.
UPDATE groups SET status = :status, changed_at = :now
 WHERE chat_id = :chat_id AND status = 'asked'

-- name: drop_group
-- The bot is no longer in it.
DELETE FROM groups WHERE chat_id = :chat_id

-- name: move_group
-- A group became a supergroup with another id.
UPDATE OR REPLACE groups SET chat_id = :new_id WHERE chat_id = :old_id

-- name: move_preferences
-- What was chosen for it.
UPDATE OR REPLACE preferences SET whose = :new_id WHERE whose = :old_id

-- name: move_proposals
-- What waits there for a tap.
UPDATE proposals SET chat_id = :new_id WHERE chat_id = :old_id

-- name: move_messages
-- What was said there, in each of its topics.
UPDATE OR IGNORE messages
   SET conversation = 'chat:' || :new_id || substr(conversation, length('chat:' || :old_id) + 1)
 WHERE conversation >= 'chat:' || :old_id || ':' AND conversation < 'chat:' || :old_id || ';'

-- name: move_conversations
-- Where each of them begins.
UPDATE OR REPLACE conversations
   SET name = 'chat:' || :new_id || substr(name, length('chat:' || :old_id) + 1)
 WHERE name >= 'chat:' || :old_id || ':' AND name < 'chat:' || :old_id || ';'

-- name: asker_of_job
-- Who asked for a job of this chat.
SELECT user_id FROM jobs WHERE id = :id AND chat_id = :chat_id

-- name: asker_of_schedule
-- Who made a schedule of this chat.
SELECT user_id FROM schedules WHERE id = :id AND chat_id = :chat_id
