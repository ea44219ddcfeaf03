-- name: insert_proposal
-- Shown to its person and not saved yet; the same source twice is one proposal.
INSERT INTO proposals (source, chat_id, thread_id, user_id, title, prompt, cron, every_s, zone,
                       changes, created_at, expires_at)
VALUES (:source, :chat_id, :thread_id, :user_id, :title, :prompt, :cron, :every_s, :zone, :changes,
        :now, :expires_at)
ON CONFLICT (source) DO NOTHING

-- name: proposal
-- One proposal, only if it belongs to that chat.
SELECT * FROM proposals WHERE id = :id AND chat_id = :chat_id

-- name: proposal_by_source
-- The one a turn has made before.
SELECT * FROM proposals WHERE source = :source

-- name: earlier_proposal
-- Whether someone has seen a proposal before this one.
SELECT id FROM proposals WHERE user_id = :user_id AND id < :id LIMIT 1

-- name: proposal_saved
-- It is a schedule now; only an open one becomes one.
UPDATE proposals SET status = 'saved', schedule_id = :schedule_id
 WHERE id = :id AND status = 'open'

-- name: proposal_discarded
-- Its person does not want it.
UPDATE proposals SET status = 'discarded' WHERE id = :id AND status = 'open'

-- name: count_schedules
-- How many schedules a chat has, paused ones too.
SELECT count(*) FROM schedules WHERE chat_id = :chat_id

-- name: old_proposals
-- Proposals from the low end; after a day none is of use.
SELECT id, created_at < :before AS old, created_at < :before AS over
  FROM proposals WHERE id > :after ORDER BY id LIMIT :limit

-- name: drop_proposals
-- They go; what was saved is a schedule.
DELETE FROM proposals WHERE id IN (SELECT value FROM json_each(:ids))
