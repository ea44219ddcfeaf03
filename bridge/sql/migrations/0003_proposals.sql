-- What the model understood of "every weekday at 7:30, the news": it becomes a schedule when its
-- person taps Save, and never by itself.
CREATE TABLE proposals (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  source      TEXT    NOT NULL UNIQUE,                -- a turn that is replayed proposes it once
  chat_id     TEXT    NOT NULL,
  thread_id   INTEGER NOT NULL DEFAULT 0,
  user_id     TEXT    NOT NULL DEFAULT '',            -- who asked, and alone may save it
  title       TEXT    NOT NULL DEFAULT '',
  prompt      TEXT    NOT NULL,
  cron        TEXT,
  every_s     INTEGER,
  zone        TEXT    NOT NULL DEFAULT 'UTC',
  status      TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open','saved','discarded')),
  schedule_id INTEGER,                                -- what it became
  created_at  TEXT    NOT NULL,
  expires_at  TEXT    NOT NULL,                       -- not saved by then: never
  CHECK ((cron IS NULL) <> (every_s IS NULL)),
  CHECK ((status = 'saved') = (schedule_id IS NOT NULL))
);
