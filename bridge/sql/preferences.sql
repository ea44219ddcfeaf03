-- name: preferences_of
-- What a person or a group has chosen.
SELECT name, value FROM preferences WHERE whose = :whose

-- name: put_preference
-- Choose.
INSERT INTO preferences (whose, name, value) VALUES (:whose, :name, :value)
ON CONFLICT (whose, name) DO UPDATE SET value = excluded.value

-- name: drop_preference
-- Back to the default.
DELETE FROM preferences WHERE whose = :whose AND name = :name

-- name: all_preferences
-- Whoever has chosen something; read once, at the start.
SELECT DISTINCT whose FROM preferences

-- name: language_of_chat
-- What was chosen for a chat, or the language of its one person's Telegram; in a group that of
-- whoever asked for a job last.
SELECT coalesce((SELECT value FROM preferences WHERE whose = :chat_id AND name = 'language'),
                (SELECT language FROM users WHERE user_id = :chat_id),
                (SELECT language FROM users WHERE user_id =
                   (SELECT user_id FROM jobs WHERE chat_id = :chat_id ORDER BY id DESC LIMIT 1)),
                'en')
