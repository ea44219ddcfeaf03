-- What may be spent: each request counts for its person and its day, and holds its price before it is made.

ALTER TABLE usage ADD COLUMN counted_micro INTEGER NOT NULL DEFAULT 0; -- against budgets, also when the price is unknown
ALTER TABLE usage ADD COLUMN user_id TEXT NOT NULL DEFAULT '';         -- for whom; '' = nobody
UPDATE usage SET counted_micro = coalesce(cost_micro, 0);
UPDATE usage SET user_id = coalesce((SELECT user_id FROM jobs WHERE id = job_id), '')
 WHERE job_id IS NOT NULL;
UPDATE usage SET user_id = chat_id WHERE job_id IS NULL AND chat_id NOT GLOB '-*';

CREATE INDEX usage_day ON usage (at, counted_micro);
CREATE INDEX usage_user ON usage (user_id, at, counted_micro);

-- The most a request that is made now can cost. It goes with the commit of the reply.
CREATE TABLE reservations (
  conversation  TEXT    PRIMARY KEY,               -- which asks one thing at a time
  user_id       TEXT    NOT NULL,
  highest_micro INTEGER NOT NULL,
  until         REAL    NOT NULL,                  -- monotonic seconds of boot_id: then it was left
  boot_id       TEXT    NOT NULL                   -- by a process that is gone
) WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN held_by TEXT NOT NULL DEFAULT ''; -- scheduled: waits for 'model' or 'budget'; done: cut by 'budget'
