-- Times are UTC text ('2026-11-22 07:30:00.123'): readable in the shell, and they sort.
-- A row inserted by hand with just chat_id and prompt runs; status='cancelled' by hand stops it.
CREATE TABLE jobs (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id            TEXT    NOT NULL,
  prompt             TEXT    NOT NULL,
  status             TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN
                     ('pending','scheduled','blocked','running','waiting','done','failed','cancelled')),
  result             TEXT,
  created_at         TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  started_at         TEXT,
  completed_at       TEXT,
  worker_id          TEXT,
  title              TEXT    NOT NULL DEFAULT '',
  kind               TEXT    NOT NULL DEFAULT 'other',
  data               TEXT,
  priority           INTEGER NOT NULL DEFAULT 0,
  progress           REAL,
  step               TEXT    NOT NULL DEFAULT '',
  error              TEXT,
  attempt            INTEGER NOT NULL DEFAULT 0,
  failures           INTEGER NOT NULL DEFAULT 0,
  max_attempts       INTEGER NOT NULL DEFAULT 3,
  run_at             TEXT,
  lease_until        REAL,                          -- monotonic seconds of boot_id
  boot_id            TEXT,
  thread_id          INTEGER NOT NULL DEFAULT 0,
  user_id            TEXT    NOT NULL DEFAULT '',
  acknowledgement    TEXT    NOT NULL DEFAULT '',
  request_message_id INTEGER,
  unique_key         TEXT,
  source             TEXT UNIQUE
);
CREATE INDEX jobs_pending ON jobs (priority DESC, id) WHERE status = 'pending';
CREATE INDEX jobs_scheduled ON jobs (run_at) WHERE status = 'scheduled';
CREATE INDEX jobs_running ON jobs (worker_id) WHERE status = 'running';
CREATE INDEX jobs_blocked ON jobs (id) WHERE status = 'blocked';
CREATE INDEX jobs_chat ON jobs (chat_id, id);
CREATE INDEX jobs_live ON jobs (chat_id, id)
  WHERE status IN ('pending','scheduled','blocked','running','waiting');
CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key)
  WHERE unique_key IS NOT NULL AND status IN ('pending','scheduled','blocked','running','waiting');

-- A hand-made UPDATE sets only the status: the end still gets its time.
CREATE TRIGGER jobs_end_has_a_time AFTER UPDATE OF status ON jobs
WHEN NEW.status IN ('done','failed','cancelled') AND NEW.completed_at IS NULL
BEGIN
  UPDATE jobs SET completed_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id;
END;

-- A hand-made run_at that is no time would never come.
CREATE TRIGGER jobs_wait_for_a_time AFTER INSERT ON jobs
WHEN NEW.status = 'scheduled' AND coalesce(NEW.run_at, '') NOT GLOB '[12][0-9][0-9][0-9]-[01][0-9]-*'
BEGIN
  UPDATE jobs SET status = 'pending', run_at = NULL WHERE id = NEW.id;
END;

CREATE TABLE job_after (
  job_id   INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  after_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  PRIMARY KEY (job_id, after_id)
) WITHOUT ROWID;
CREATE INDEX job_after_parent ON job_after (after_id);

CREATE TABLE job_events (
  id      INTEGER PRIMARY KEY,
  job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  at      TEXT    NOT NULL,
  attempt INTEGER NOT NULL,
  event   TEXT    NOT NULL,                        -- added, claimed, progress, retry, rescued, …
  message TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX job_events_job ON job_events (job_id, id);

CREATE TABLE job_files (
  id      INTEGER PRIMARY KEY,
  job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  path    TEXT    NOT NULL,                        -- inside the job's own folder
  name    TEXT    NOT NULL,
  caption TEXT    NOT NULL DEFAULT '',
  UNIQUE (job_id, path)
);

-- The card of a job: one message, edited in place until it shows the end.
CREATE TABLE cards (
  job_id     INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  message_id INTEGER NOT NULL,
  shown      TEXT    NOT NULL DEFAULT '',          -- what Telegram shows now
  final      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX cards_open ON cards (job_id) WHERE final = 0;

-- What is owed to a chat. Rows of one chat leave in the order of their ids.
CREATE TABLE deliveries (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id    TEXT    NOT NULL,
  thread_id  INTEGER NOT NULL DEFAULT 0,
  kind       TEXT    NOT NULL,                     -- reply, card, result, failure, notice
  payload    TEXT    NOT NULL,                     -- JSON
  dedupe_key TEXT UNIQUE,
  status     TEXT    NOT NULL DEFAULT 'ready' CHECK (status IN
             ('ready','sending','sent','held','failed','dropped')),
  sent_parts INTEGER NOT NULL DEFAULT 0,
  attempt    INTEGER NOT NULL DEFAULT 0,
  not_before REAL,                                 -- unix seconds; NULL = now
  created_at TEXT    NOT NULL,
  sent_at    TEXT,
  message_id INTEGER,                              -- of the last part
  error      TEXT
);
CREATE INDEX deliveries_open ON deliveries (chat_id, id) WHERE status IN ('ready','sending');
CREATE INDEX deliveries_held ON deliveries (chat_id) WHERE status = 'held';

-- Every update is here before Telegram is told that we have it.
CREATE TABLE inbox (
  update_id   INTEGER PRIMARY KEY,
  received_at TEXT    NOT NULL,
  state       TEXT    NOT NULL DEFAULT 'new' CHECK (state IN ('new','done','refused','quarantined')),
  attempts    INTEGER NOT NULL DEFAULT 0,
  message_id  INTEGER,                             -- the answer, once a part of it is shown
  raw         TEXT                                 -- emptied when it is done
);
CREATE INDEX inbox_new ON inbox (update_id) WHERE state = 'new';

-- One row per message of the Messages API, byte-stable: thinking and the cache need that.
CREATE TABLE messages (
  id           INTEGER PRIMARY KEY,
  conversation TEXT    NOT NULL,                   -- 'chat:<chat>:<thread>' or 'job:<id>'
  role         TEXT    NOT NULL CHECK (role IN ('user','assistant')),
  content      TEXT    NOT NULL,                   -- JSON list of blocks
  source       TEXT,                               -- what it came from; a replay stores nothing
  stop_reason  TEXT,
  created_at   TEXT    NOT NULL
);
CREATE INDEX messages_conversation ON messages (conversation, id);
CREATE UNIQUE INDEX messages_source ON messages (conversation, source) WHERE source IS NOT NULL;

CREATE TABLE conversations (
  name     TEXT PRIMARY KEY,
  first_id INTEGER NOT NULL DEFAULT 0,             -- messages before it are forgotten (/new)
  frozen   TEXT                                    -- system and tools a job started with, JSON
) WITHOUT ROWID;

-- Tool calls of jobs that act outside the database: what a crash may have left half done.
CREATE TABLE tool_calls (
  id           TEXT NOT NULL,                      -- tool_use id
  conversation TEXT NOT NULL,
  name         TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('started','done')),
  result       TEXT,                               -- JSON tool_result block
  PRIMARY KEY (conversation, id)
) WITHOUT ROWID;

CREATE TABLE usage (
  id            INTEGER PRIMARY KEY,
  at            TEXT    NOT NULL,
  conversation  TEXT    NOT NULL,
  model         TEXT    NOT NULL,
  input_tokens  INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read    INTEGER NOT NULL,
  cache_write   INTEGER NOT NULL,
  latency_ms    INTEGER NOT NULL
);
CREATE INDEX usage_conversation ON usage (conversation);

CREATE TABLE users (
  user_id  TEXT PRIMARY KEY,
  role     TEXT NOT NULL CHECK (role IN ('owner','stranger')),
  name     TEXT NOT NULL DEFAULT '',
  language TEXT NOT NULL DEFAULT 'en',
  refused_at TEXT                                  -- a stranger is answered once a day
) WITHOUT ROWID;

CREATE TABLE claims (
  code_hash  TEXT PRIMARY KEY,
  expires_at TEXT NOT NULL,
  tries_left INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
