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
