-- name: counted_in_conversation
-- What a conversation or a job has used of its budget.
SELECT coalesce(sum(counted_micro), 0) FROM usage WHERE conversation = :conversation

-- name: counted_in_tree
-- What a job has used of its budget, with those it was started by and all that came from these.
WITH RECURSIVE
  up(id, parent_id) AS (
    SELECT id, parent_id FROM jobs WHERE id = :job_id
     UNION SELECT jobs.id, jobs.parent_id FROM up JOIN jobs ON jobs.id = up.parent_id),
  tree(id) AS (
    SELECT :job_id UNION SELECT id FROM up
     UNION SELECT jobs.id FROM tree JOIN jobs INDEXED BY jobs_children
             ON jobs.parent_id = tree.id AND jobs.parent_id IS NOT NULL)
SELECT coalesce(sum(counted_micro), 0) FROM usage
 WHERE conversation IN (SELECT 'job:' || id FROM tree)

-- name: counted_since
-- What everyone has used since then, in a day's budget.
SELECT coalesce(sum(counted_micro), 0) FROM usage INDEXED BY usage_day WHERE at >= :since

-- name: counted_for_user_since
-- What one person has used since then.
SELECT coalesce(sum(counted_micro), 0) FROM usage INDEXED BY usage_user
 WHERE user_id = :user_id AND at >= :since

-- name: reserved
-- What requests that others make now can still cost: all of them, and those of one person.
SELECT coalesce(sum(highest_micro), 0) AS everyone,
       coalesce(sum(highest_micro) FILTER (WHERE user_id = :user_id), 0) AS user
  FROM reservations
 WHERE conversation <> :conversation AND boot_id = :boot_id AND until > :monotonic

-- name: reserve
-- The most the next request of a conversation can cost; it takes the place of one that was left.
INSERT INTO reservations (conversation, user_id, highest_micro, until, boot_id)
VALUES (:conversation, :user_id, :highest_micro, :until, :boot_id)
ON CONFLICT (conversation) DO UPDATE
   SET user_id = excluded.user_id, highest_micro = excluded.highest_micro,
       until = excluded.until, boot_id = excluded.boot_id

-- name: settle
-- The request was answered, or never made.
DELETE FROM reservations WHERE conversation = :conversation

-- name: drop_left_reservations
-- Their processes are gone.
DELETE FROM reservations WHERE boot_id <> :boot_id OR until <= :monotonic

-- name: release_held_by_budget
-- A worker starts, perhaps with a larger budget: what waits for one may try.
UPDATE jobs SET status = 'pending', run_at = NULL
 WHERE status = 'scheduled' AND held_by = 'budget'
