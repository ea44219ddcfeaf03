-- name: insert_usage
-- One row per request that was answered, or cut; what a job uses is used for its chat.
INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read, cache_write,
                   latency_ms, estimated, cost_micro, counted_micro, job_id, chat_id, user_id)
VALUES (:now, :conversation, :model, :input_tokens, :output_tokens, :cache_read, :cache_write,
        :latency_ms, :estimated, :cost_micro, coalesce(:counted_micro, :cost_micro, 0), :job_id,
        coalesce(:chat_id, (SELECT chat_id FROM jobs WHERE id = :job_id), ''), :user_id)

-- name: spent_in_conversation
-- Everything a conversation has used.
SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(cost_micro), 0) AS cost_micro,
       coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
  FROM usage WHERE conversation = :conversation

-- name: spent_in_chat
-- What a chat has used since then, its jobs too.
SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(cost_micro), 0) AS cost_micro,
       coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
  FROM usage WHERE chat_id = :chat_id AND at >= :since

-- name: spent_on_jobs
-- The part of it that jobs have used.
SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(cost_micro), 0) AS cost_micro,
       coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
  FROM usage WHERE chat_id = :chat_id AND at >= :since AND job_id IS NOT NULL

-- name: spent_by_model
-- The same by model, the dearest first.
SELECT model, sum(tokens) AS tokens, coalesce(sum(cost_micro), 0) AS cost_micro,
       coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
  FROM usage WHERE chat_id = :chat_id AND at >= :since
 GROUP BY model ORDER BY cost_micro DESC, tokens DESC, model

-- name: dearest_jobs
-- The jobs of a chat that have cost most since then; one that is no longer kept has no name.
SELECT used.*, jobs.title, jobs.prompt
  FROM (SELECT job_id, sum(tokens) AS tokens, sum(cost_micro) AS cost_micro,
               coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
          FROM usage WHERE chat_id = :chat_id AND at >= :since AND job_id IS NOT NULL
         GROUP BY job_id HAVING sum(cost_micro) > 0
         ORDER BY sum(cost_micro) DESC, job_id DESC LIMIT :limit) AS used
  LEFT JOIN jobs ON jobs.id = used.job_id
 ORDER BY used.cost_micro DESC, used.job_id DESC
