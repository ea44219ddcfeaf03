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

-- name: live_jobs_for
-- What has not ended of a person, in whatever chat, or of a group; asked when they are shut out.
SELECT id FROM jobs INDEXED BY jobs_live
 WHERE status IN ('pending','scheduled','blocked','running','waiting')
   AND (user_id = :whose OR chat_id = :whose)
 ORDER BY id LIMIT :limit

-- name: pause_schedules_of
-- The same for what recurs.
UPDATE schedules SET status = 'paused'
 WHERE status = 'active' AND (user_id = :whose OR chat_id = :whose)

-- name: drop_lane
-- Nothing of it is sent any more; what is under way stays.
UPDATE deliveries SET status = 'dropped', error = 'shut out'
 WHERE chat_id = :chat_id AND status IN ('ready','held')

-- name: all_groups
-- Every group an owner has decided about, the newest first.
SELECT chat_id, title, status FROM groups WHERE status <> 'asked' ORDER BY changed_at DESC, chat_id LIMIT :limit

-- name: set_group
-- Open or close one that is known.
UPDATE groups SET status = :status, changed_at = :now WHERE chat_id = :chat_id

-- name: open_parts_of
-- What is still owed to a chat and is made of parts that are ready.
SELECT id, payload FROM deliveries
 WHERE chat_id = :chat_id AND status IN ('ready','sending','held')

-- name: live_cards_of
-- The jobs of a chat whose cards still change.
SELECT jobs.id, jobs.thread_id FROM cards JOIN jobs ON jobs.id = cards.job_id
 WHERE jobs.chat_id = :chat_id
   AND jobs.status IN ('pending','scheduled','blocked','running','waiting')

-- name: drop_cards
-- The messages that show the jobs of a chat are out of reach; those that live get new ones.
DELETE FROM cards WHERE job_id IN (SELECT id FROM jobs WHERE chat_id = :chat_id)

-- name: move_files_of_jobs
-- The files that its jobs may read.
UPDATE jobs SET data = replace(data, '"type": "kitt-file", "chat": "' || :old_id || '"',
                                     '"type": "kitt-file", "chat": "' || :new_id || '"')
 WHERE chat_id = :new_id AND data LIKE '%kitt-file%'

-- name: move_files_of_messages
-- The files that were sent there. In a text these signs stand behind a backslash.
UPDATE messages SET content = replace(content, '"type": "kitt-file", "chat": "' || :old_id || '"',
                                               '"type": "kitt-file", "chat": "' || :new_id || '"')
 WHERE conversation >= 'chat:' || :new_id || ':' AND conversation < 'chat:' || :new_id || ';'
   AND content LIKE '%kitt-file%'

-- name: move_usage
-- What its conversations have used.
UPDATE usage
   SET conversation = 'chat:' || :new_id || substr(conversation, length('chat:' || :old_id) + 1)
 WHERE conversation >= 'chat:' || :old_id || ':' AND conversation < 'chat:' || :old_id || ';'

-- name: move_tool_calls
-- What was done in them.
UPDATE OR REPLACE tool_calls
   SET conversation = 'chat:' || :new_id || substr(conversation, length('chat:' || :old_id) + 1)
 WHERE conversation >= 'chat:' || :old_id || ':' AND conversation < 'chat:' || :old_id || ';'
