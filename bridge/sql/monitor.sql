-- name: watched_running
-- What runs now, the longest first, and where.
SELECT id, chat_id, kind, worker_id, attempt, step, started_at,
       CASE WHEN title <> '' THEN title ELSE substr(prompt, 1, 100) END AS title,
       CAST(progress AS REAL) AS progress
  FROM jobs INDEXED BY jobs_running WHERE status = 'running'
 ORDER BY started_at, id LIMIT :limit

-- name: watched_backlog
-- Jobs that have not ended, by kind and status. The oldest is the one with the lowest number.
SELECT live.kind, live.status, live.jobs, first.created_at AS oldest_at
  FROM (SELECT kind, status, count(*) AS jobs, min(id) AS first_id
          FROM jobs INDEXED BY jobs_live
         WHERE status IN ('pending','scheduled','blocked','running','waiting')
         GROUP BY kind, status) AS live
  JOIN jobs AS first ON first.id = live.first_id
 ORDER BY live.kind, live.status

-- name: watched_ended
-- How many jobs have ended, and how. Reads every job there ever was.
SELECT status, count(*) AS jobs FROM jobs
 WHERE status IN ('done','failed','cancelled') GROUP BY status

-- name: watched_workers
-- Workers that have not said goodbye. A slot has one holder at a time: the last one is it.
SELECT *, max(started_at) FROM workers WHERE state <> 'gone'
 GROUP BY slot ORDER BY length(slot), slot

-- name: watched_schedules
-- What comes next by the clock; one made by hand has no time yet and comes first.
SELECT id, chat_id, kind, next_at, cron, every_s, zone,
       CASE WHEN title <> '' THEN title ELSE substr(prompt, 1, 100) END AS title
  FROM schedules INDEXED BY schedules_due WHERE status = 'active'
 ORDER BY next_at LIMIT :limit

-- name: watched_queues
-- Kinds that are paused.
SELECT kind, paused_at FROM queues ORDER BY kind

-- name: watched_owed
-- Messages that have still to reach someone.
SELECT status, count(*) AS deliveries FROM deliveries INDEXED BY deliveries_open
 WHERE status IN ('ready','sending') GROUP BY status
UNION ALL
SELECT status, count(*) FROM deliveries INDEXED BY deliveries_held
 WHERE status = 'held' GROUP BY status

-- name: watched_settled
-- Messages nothing more happens to. Reads every message there ever was.
SELECT status, count(*) AS deliveries FROM deliveries
 WHERE status IN ('sent','failed','dropped') GROUP BY status

-- name: watched_events
-- What happened last, the newest first.
SELECT job_events.at, job_events.job_id, job_events.attempt, job_events.event, job_events.level,
       job_events.step, job_events.message,
       CASE WHEN jobs.title <> '' THEN jobs.title ELSE substr(jobs.prompt, 1, 100) END AS title
  FROM job_events JOIN jobs ON jobs.id = job_events.job_id
 ORDER BY job_events.id DESC LIMIT :limit
