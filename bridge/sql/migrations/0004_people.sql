-- People beside the owners, groups, and what each of them prefers.

CREATE TABLE people (
  user_id    TEXT PRIMARY KEY,
  role       TEXT NOT NULL CHECK (role IN ('owner','allowed','stranger','blocked')),
  name       TEXT NOT NULL DEFAULT '',
  language   TEXT NOT NULL DEFAULT 'en',              -- of their Telegram
  refused_at TEXT,                                    -- a stranger is answered once a day
  asked_at   TEXT                                     -- the owners were asked about them
) WITHOUT ROWID;
INSERT INTO people (user_id, role, name, language, refused_at)
SELECT user_id, role, name, language, refused_at FROM users;
DROP TABLE users;
ALTER TABLE people RENAME TO users;

-- Groups the bot was added to: closed until an owner allows them.
CREATE TABLE groups (
  chat_id    TEXT PRIMARY KEY,
  title      TEXT NOT NULL DEFAULT '',
  status     TEXT NOT NULL DEFAULT 'asked' CHECK (status IN ('asked','allowed','refused')),
  added_by   TEXT NOT NULL DEFAULT '',                -- user id
  changed_at TEXT NOT NULL
) WITHOUT ROWID;

-- What was chosen in /settings; what is not here has its default (preferences.py).
CREATE TABLE preferences (
  whose TEXT NOT NULL,                                -- a user id, or the id of a group
  name  TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (whose, name)
) WITHOUT ROWID;
