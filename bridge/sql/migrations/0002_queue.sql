-- What the queue has beside jobs that run: fairness, kinds, schedules, workers, a fuller history.

-- Fair order inside one priority: each chat's first waiting job is of the turn that comes next, its
-- next one of the turn after that. Ten thousand jobs of one chat keep no other waiting.
ALTER TABLE jobs ADD COLUMN turn INTEGER;             -- NULL until it may be claimed
ALTER TABLE jobs ADD COLUMN parent_id INTEGER;        -- the job that started this one
ALTER TABLE jobs ADD COLUMN if_parent_fails TEXT NOT NULL DEFAULT 'cancel'
  CHECK (if_parent_fails IN ('cancel','run'));
ALTER TABLE jobs ADD COLUMN timeout_s REAL;           -- one attempt may take this long; NULL = 2 h
ALTER TABLE jobs ADD COLUMN expires_at TEXT;          -- not started by then: never; NULL = no limit
ALTER TABLE jobs ADD COLUMN max_age_s REAL;           -- of expires_at, as it was chosen
ALTER TABLE jobs ADD COLUMN rescues INTEGER NOT NULL DEFAULT 0;  -- taken back from a dead worker
ALTER TABLE jobs ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;    -- runs with no other beside it
ALTER TABLE jobs ADD COLUMN question TEXT;            -- what a waiting job asked its user
ALTER TABLE jobs ADD COLUMN answer TEXT;
ALTER TABLE jobs ADD COLUMN schedule_id INTEGER;      -- the schedule that made it

ALTER TABLE job_events ADD COLUMN level TEXT NOT NULL DEFAULT 'info'
  CHECK (level IN ('info','warning','error'));
ALTER TABLE job_events ADD COLUMN step TEXT NOT NULL DEFAULT '';
ALTER TABLE job_events ADD COLUMN data TEXT;          -- JSON
UPDATE job_events SET step = message, message = '' WHERE event = 'progress';

-- A hand-made UPDATE sets only the status: the end still gets its time, and a line of its history.
DROP TRIGGER jobs_end_has_a_time;
CREATE TRIGGER jobs_end_has_a_time AFTER UPDATE OF status ON jobs
WHEN NEW.status IN ('done','failed','cancelled') AND NEW.completed_at IS NULL
BEGIN
  UPDATE jobs SET completed_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id;
  INSERT INTO job_events (job_id, at, attempt, event, message)
  VALUES (NEW.id, strftime('%Y-%m-%d %H:%M:%f', 'now'), NEW.attempt, NEW.status, 'by hand');
END;

DROP INDEX jobs_pending;
UPDATE jobs SET turn = id WHERE status = 'pending';
CREATE INDEX jobs_pending ON jobs (priority DESC, turn, id)
  WHERE status = 'pending' AND alone = 0;
-- The first job of each kind and chat, for when the head of the line may not be claimed.
CREATE INDEX jobs_lanes ON jobs (kind, chat_id, priority DESC, turn, id)
  WHERE status = 'pending' AND alone = 0;
-- The last turn a chat has taken.
CREATE INDEX jobs_line ON jobs (chat_id, priority, turn) WHERE status = 'pending' AND alone = 0;
-- Jobs that may have killed a worker: each runs alone, so that it is known which one does.
CREATE INDEX jobs_alone ON jobs (priority DESC, turn, id) WHERE status = 'pending' AND alone <> 0;
DROP INDEX jobs_running;
CREATE INDEX jobs_running ON jobs (chat_id, worker_id) WHERE status = 'running';
CREATE INDEX jobs_children ON jobs (parent_id) WHERE parent_id IS NOT NULL;

-- Which turn was claimed last. The lowest one that waits would not do: what is paused, or comes back
-- to its old turn, would let newcomers in before all who have waited longer.
CREATE TABLE turns (
  priority NOT NULL PRIMARY KEY,                        -- whatever jobs hold, also by hand
  turn     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER jobs_claimed_move_the_line AFTER UPDATE OF status ON jobs
WHEN NEW.status = 'running' AND NEW.turn IS NOT NULL
BEGIN
  INSERT INTO turns (priority, turn) VALUES (NEW.priority, NEW.turn)
  ON CONFLICT (priority) DO UPDATE SET turn = excluded.turn WHERE excluded.turn > turns.turn;
END;

CREATE TRIGGER jobs_added_take_a_turn AFTER INSERT ON jobs
WHEN NEW.status = 'pending' AND NEW.turn IS NULL
BEGIN
  UPDATE jobs SET turn = max(
    coalesce((SELECT max(turn) + 1 FROM jobs INDEXED BY jobs_line
               WHERE status = 'pending' AND alone = 0
                 AND chat_id = NEW.chat_id AND priority = NEW.priority), 0),
    coalesce((SELECT min(turn) FROM jobs INDEXED BY jobs_pending
               WHERE status = 'pending' AND alone = 0 AND priority = NEW.priority
                 AND turn > coalesce((SELECT turn FROM turns WHERE priority = NEW.priority), -1)),
             (SELECT turn + 1 FROM turns WHERE priority = NEW.priority), 0))
   WHERE id = NEW.id;
END;

CREATE TRIGGER jobs_due_take_a_turn AFTER UPDATE OF status ON jobs
WHEN NEW.status = 'pending' AND NEW.turn IS NULL
BEGIN
  UPDATE jobs SET turn = max(
    coalesce((SELECT max(turn) + 1 FROM jobs INDEXED BY jobs_line
               WHERE status = 'pending' AND alone = 0
                 AND chat_id = NEW.chat_id AND priority = NEW.priority), 0),
    coalesce((SELECT min(turn) FROM jobs INDEXED BY jobs_pending
               WHERE status = 'pending' AND alone = 0 AND priority = NEW.priority
                 AND turn > coalesce((SELECT turn FROM turns WHERE priority = NEW.priority), -1)),
             (SELECT turn + 1 FROM turns WHERE priority = NEW.priority), 0))
   WHERE id = NEW.id;
END;

-- A kind of job is a queue of its own: it can be paused.
CREATE TABLE queues (
  kind      TEXT PRIMARY KEY,                         -- '*' = every kind
  paused_at TEXT NOT NULL
) WITHOUT ROWID;

-- What keeps failing is left alone for a while, and jobs that need it wait.
CREATE TABLE breakers (
  name       TEXT NOT NULL,                           -- 'model', or 'host:api.example.org'
  kind       TEXT NOT NULL,                           -- kind of job that needs it; '*' = every kind
  failures   INTEGER NOT NULL,                        -- in a row
  opened_at  TEXT,                                    -- NULL = not enough failures yet
  open_until TEXT,                                    -- then one job may try
  reason     TEXT NOT NULL,
  PRIMARY KEY (name, kind)
) WITHOUT ROWID;

CREATE TABLE workers (
  id         TEXT PRIMARY KEY,                        -- slot:pid:nonce, as in jobs.worker_id
  slot       TEXT NOT NULL,
  pid        INTEGER NOT NULL,
  host       TEXT NOT NULL,
  kinds      TEXT NOT NULL DEFAULT '',                -- which it serves alone; empty = the rest
  state      TEXT NOT NULL CHECK (state IN ('idle','busy','draining','gone')),
  started_at TEXT NOT NULL,
  beat_at    TEXT NOT NULL,                           -- last sign of life; an idle one gives none
  job_id     INTEGER,                                 -- the last one it claimed
  processed  INTEGER NOT NULL DEFAULT 0,              -- attempts that ended here
  failed     INTEGER NOT NULL DEFAULT 0               -- of those
) WITHOUT ROWID;

CREATE TRIGGER jobs_left_their_worker AFTER UPDATE OF status ON jobs
WHEN OLD.status = 'running' AND NEW.status <> 'running'
BEGIN
  UPDATE workers SET state = 'idle'
   WHERE id = OLD.worker_id AND state = 'busy' AND NOT EXISTS (
           SELECT 1 FROM jobs INDEXED BY jobs_running
            WHERE status = 'running' AND worker_id = OLD.worker_id);
END;

CREATE TABLE schedules (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id     TEXT    NOT NULL,
  prompt      TEXT    NOT NULL,
  cron        TEXT,                                   -- '30 7 * * 1-5', in zone …
  every_s     INTEGER,                                -- … or every so many seconds
  zone        TEXT    NOT NULL DEFAULT 'UTC',         -- IANA name
  status      TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active','paused')),
  next_at     TEXT,                                   -- UTC; NULL = not computed yet (made by hand)
  last_at     TEXT,
  last_job_id INTEGER,
  fired       INTEGER NOT NULL DEFAULT 0,
  error       TEXT,                                   -- why it was paused, if not by a person
  thread_id   INTEGER NOT NULL DEFAULT 0,
  user_id     TEXT    NOT NULL DEFAULT '',
  title       TEXT    NOT NULL DEFAULT '',
  kind        TEXT    NOT NULL DEFAULT 'other',
  data        TEXT,
  priority    INTEGER NOT NULL DEFAULT 0,
  created_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  CHECK ((cron IS NULL) <> (every_s IS NULL))
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE status = 'active';
CREATE INDEX schedules_chat ON schedules (chat_id, id);

-- The common questions, for a person with the sqlite3 shell (docs/inspect.md).
CREATE VIEW active_jobs AS
SELECT id, chat_id, kind, status,
       CASE WHEN title <> '' THEN title ELSE substr(prompt, 1, 60) END AS name,
       progress, step, attempt, worker_id,
       round((julianday('now') - julianday(created_at)) * 86400, 1) AS age_s,
       round((julianday('now') - julianday(started_at)) * 86400, 1) AS running_s,
       CASE status
       WHEN 'pending' THEN CASE
         WHEN EXISTS (SELECT 1 FROM queues WHERE queues.kind IN ('*', jobs.kind)) THEN 'paused'
         ELSE coalesce((SELECT breakers.name || ' fails, until ' || open_until FROM breakers
                         WHERE breakers.kind IN ('*', jobs.kind)
                           AND strftime('%Y-%m-%d %H:%M:%f', 'now') >= opened_at
                           AND strftime('%Y-%m-%d %H:%M:%f', 'now') < open_until), 'in line') END
       WHEN 'scheduled' THEN 'until ' || run_at || coalesce(', after ' || error, '')
       WHEN 'blocked' THEN 'after job ' || (
         SELECT group_concat(after_id, ', ') FROM job_after JOIN jobs AS parent ON parent.id = after_id
          WHERE job_id = jobs.id AND parent.status NOT IN ('done','failed','cancelled'))
       WHEN 'waiting' THEN 'asked: ' || question
       END AS why
  FROM jobs INDEXED BY jobs_live
 WHERE status IN ('pending','scheduled','blocked','running','waiting');

CREATE VIEW recent_jobs AS
SELECT id, chat_id, kind, status,
       CASE WHEN title <> '' THEN title ELSE substr(prompt, 1, 60) END AS name,
       round((julianday(started_at) - julianday(created_at)) * 86400, 1) AS waited_s,
       round((julianday(completed_at) - julianday(started_at)) * 86400, 1) AS ran_s,
       attempt, failures, rescues, error, completed_at
  FROM jobs WHERE status IN ('done','failed','cancelled') ORDER BY id DESC;

CREATE VIEW dead_jobs AS
SELECT id, chat_id, kind,
       CASE WHEN title <> '' THEN title ELSE substr(prompt, 1, 60) END AS name,
       error, failures, max_attempts, rescues, completed_at
  FROM jobs INDEXED BY jobs_dead WHERE status = 'failed' ORDER BY id DESC;
CREATE INDEX jobs_dead ON jobs (id) WHERE status = 'failed';
