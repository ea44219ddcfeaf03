-- name: people_of_role
-- Everyone with this role, whoever wrote last first.
SELECT user_id, role, name, language FROM users WHERE role = :role
 ORDER BY coalesce(asked_at, refused_at, '') DESC, user_id LIMIT :limit

-- name: ask_owners
-- The owners may be asked about this stranger now; it counts as asked.
UPDATE users SET asked_at = :now
 WHERE user_id = :user_id AND role = 'stranger' AND (asked_at IS NULL OR asked_at <= :since)

-- name: set_role
-- Give someone a role; whoever never wrote has no name yet.
INSERT INTO users (user_id, role) VALUES (:user_id, :role)
ON CONFLICT (user_id) DO UPDATE SET role = excluded.role

-- name: access_cards
-- The messages that ask an owner about someone, sent or still to be sent.
SELECT id, chat_id, message_id, status FROM deliveries
 WHERE dedupe_key >= 'access:' || :user_id || ':' AND dedupe_key < 'access:' || :user_id || ';'
   AND status IN ('ready','held','sent')

-- name: drop_meta
-- KITT no longer keeps it.
DELETE FROM meta WHERE name = :name
