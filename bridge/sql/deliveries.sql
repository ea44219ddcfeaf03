-- name: insert_delivery
-- Owed to a chat. The same dedupe_key twice is one delivery.
INSERT INTO deliveries (chat_id, thread_id, kind, payload, dedupe_key, created_at)
VALUES (:chat_id, :thread_id, :kind, :payload, :dedupe_key, :now)
ON CONFLICT (dedupe_key) DO NOTHING

-- name: owed_payload
-- What was owed under this key, whether it was sent or not.
SELECT payload FROM deliveries WHERE dedupe_key = :dedupe_key

-- name: open_lanes
-- Chats to which something is owed, and those for which something has to be packed first.
SELECT DISTINCT chat_id, kind = 'packing' AS packing FROM deliveries
 WHERE status IN ('ready','sending')

-- name: next_packing
-- The next file that is to be packed; a lane leaves it alone until it is.
SELECT * FROM deliveries WHERE kind = 'packing' AND status = 'ready' ORDER BY id LIMIT 1

-- name: packed
-- It can be sent now.
UPDATE deliveries SET kind = 'file', payload = :payload WHERE id = :id AND kind = 'packing'

-- name: next_delivery
-- What goes to a chat next: what is under way, then answers, then the rest, each in order. Nobody
-- waits for an answer behind the cards of twenty jobs.
SELECT * FROM deliveries WHERE chat_id = :chat_id AND status IN ('ready','sending')
   AND kind <> 'packing'
 ORDER BY status <> 'sending', kind <> 'reply', id LIMIT 1

-- name: delivery_of
-- One delivery of a chat.
SELECT * FROM deliveries WHERE id = :id AND chat_id = :chat_id

-- name: keep_parts
-- The rendered parts, before the first of them is sent.
UPDATE deliveries SET payload = :payload WHERE id = :id

-- name: delivery_sending
-- Written before the call: found again in this state, it may have arrived.
UPDATE deliveries SET status = 'sending', attempt = attempt + 1 WHERE id = :id

-- name: delivery_waits
-- Surely not sent; it stays first in its lane.
UPDATE deliveries SET status = 'ready', error = :error WHERE id = :id

-- name: part_sent
-- One more part has arrived; the last one ends the delivery.
UPDATE deliveries SET sent_parts = sent_parts + 1, error = NULL,
       message_id = coalesce(:message_id, message_id),
       status = CASE WHEN :last THEN 'sent' ELSE 'ready' END,
       sent_at = CASE WHEN :last THEN :now END
 WHERE id = :id

-- name: delivery_over
-- It cannot arrive (failed), need not (dropped), or waits until the user is back (held).
UPDATE deliveries SET status = :status, error = :error WHERE id = :id

-- name: hold_lane
-- The user blocked the bot: keep everything.
UPDATE deliveries SET status = 'held' WHERE chat_id = :chat_id AND status IN ('ready','sending')

-- name: release_lane
-- The user wrote again: everything held goes out.
UPDATE deliveries SET status = 'ready' WHERE chat_id = :chat_id AND status = 'held'

-- name: revive_cards
-- The user wrote again: cards that could not be changed meanwhile show the truth again.
UPDATE cards SET final = 0
 WHERE shown LIKE '%🛠%' AND job_id IN (SELECT id FROM jobs WHERE chat_id = :chat_id)

-- name: move_chat
-- A group became a supergroup with another id.
UPDATE deliveries SET chat_id = :new_id WHERE chat_id = :old_id AND status IN ('ready','sending','held')

-- name: move_jobs
-- The same for its jobs. The message that asked for one has another number there.
UPDATE jobs SET chat_id = :new_id, request_message_id = NULL WHERE chat_id = :old_id

-- name: move_schedules
-- And its schedules.
UPDATE schedules SET chat_id = :new_id WHERE chat_id = :old_id

-- name: count_owed
-- How many deliveries have still to reach a chat.
SELECT (SELECT count(*) FROM deliveries WHERE chat_id = :chat_id AND status IN ('ready','sending'))
     + (SELECT count(*) FROM deliveries WHERE chat_id = :chat_id AND status = 'held')

-- name: count_deliveries
-- How many deliveries stand where.
SELECT status, count(*) AS deliveries FROM deliveries GROUP BY status

-- name: insert_card
-- The message that shows a job; a second one replaces it. Final only if the job still has ended.
INSERT INTO cards (job_id, message_id, shown, final)
SELECT id, :message_id, :shown, :final AND status IN ('done','failed','cancelled')
  FROM jobs WHERE id = :job_id
ON CONFLICT (job_id) DO UPDATE SET message_id = excluded.message_id, shown = excluded.shown,
                                   final = excluded.final

-- name: open_cards
-- Cards that may still change, with what they show.
SELECT cards.message_id, cards.shown, cards.unfolded, jobs.* FROM cards JOIN jobs ON jobs.id = cards.job_id
 WHERE cards.final = 0

-- name: card
-- The card of a job.
SELECT message_id, shown, final FROM cards WHERE job_id = :job_id

-- name: card_shown
-- What Telegram shows now; a job that has moved on meanwhile keeps its card open.
UPDATE cards SET shown = :shown,
       final = :final AND :status = (SELECT status FROM jobs WHERE id = :job_id)
 WHERE job_id = :job_id

-- name: reopen_card
-- The job runs again, so its card lives again.
UPDATE cards SET final = 0 WHERE job_id = :job_id
