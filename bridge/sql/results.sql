-- name: keep_result
-- How a job has done; what it counted itself stands beside what we count.
INSERT INTO job_results (job_id, summary, metrics)
SELECT id, :summary, json_patch(:metrics, json_object(
         'attempts', attempt,
         'seconds', round((julianday(completed_at) - julianday(started_at)) * 86400, 1),
         'model_calls', used.calls,
         'tokens', used.tokens,
         'cost_micro', used.cost_micro,
         'unpriced_tokens', used.unpriced_tokens,
         'tool_calls', (
           SELECT count(*)
             FROM messages, json_each(iif(json_valid(content), content, '[]')) AS block
            WHERE conversation = :conversation AND role = 'assistant'
              AND iif(block.type = 'object', json_extract(block.value, '$.type'), '') = 'tool_use')))
  FROM jobs, (SELECT count(*) AS calls, coalesce(sum(tokens), 0) AS tokens,
                     coalesce(sum(cost_micro), 0) AS cost_micro,
                     coalesce(sum(tokens) FILTER (WHERE cost_micro IS NULL), 0) AS unpriced_tokens
                FROM usage WHERE conversation = :conversation) AS used
 WHERE id = :job_id
ON CONFLICT (job_id) DO UPDATE SET summary = excluded.summary, metrics = excluded.metrics

-- name: kept_result
-- What was written down when it ended.
SELECT summary, metrics FROM job_results WHERE job_id = :job_id
