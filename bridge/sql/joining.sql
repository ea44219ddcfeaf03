-- name: children_of
-- What a job has started.
SELECT * FROM jobs WHERE parent_id = :parent_id ORDER BY id

-- name: live_children_of
-- Those of it that have not ended.
SELECT * FROM jobs WHERE parent_id = :parent_id
   AND status IN ('pending','scheduled','blocked','running','waiting') ORDER BY id

-- name: depth_of
-- How many jobs stand above this one; a circle made by hand ends at the limit.
WITH RECURSIVE above(id, steps) AS (
  SELECT parent_id, 1 FROM jobs WHERE id = :id AND parent_id IS NOT NULL
  UNION ALL
  SELECT parent_id, steps + 1 FROM jobs JOIN above USING (id)
   WHERE parent_id IS NOT NULL AND steps < :limit)
SELECT count(*) FROM above

-- name: parent_lives
-- Whether the job that started this one, in the same chat, has not ended.
SELECT 1 FROM jobs WHERE id = :parent_id AND chat_id = :chat_id
   AND status IN ('pending','scheduled','blocked','running','waiting')

-- name: join_job
-- It waits for jobs it has started and holds no worker meanwhile; the caller has seen its lease.
UPDATE jobs SET status = 'blocked', if_parent_fails = 'run', turn = NULL, worker_id = NULL,
                lease_until = NULL
 WHERE id = :id AND status = 'running'

-- name: orphaned
-- Jobs whose parent was ended by hand in vain: nobody was there to end them.
SELECT jobs.id FROM jobs INDEXED BY jobs_live_children JOIN jobs AS parent ON parent.id = jobs.parent_id
 WHERE jobs.parent_id IS NOT NULL
   AND jobs.status IN ('pending','scheduled','blocked','running','waiting')
   AND parent.status IN ('failed','cancelled') AND parent.chat_id = jobs.chat_id
 LIMIT :limit
