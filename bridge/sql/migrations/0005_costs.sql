-- What a request has cost, and for whom it was: so that a chat and a job can be told their sum.

ALTER TABLE usage ADD COLUMN cost_micro INTEGER;       -- millionths of a dollar; NULL = price unknown
ALTER TABLE usage ADD COLUMN chat_id TEXT NOT NULL DEFAULT '';
ALTER TABLE usage ADD COLUMN job_id  INTEGER;          -- NULL = an answer in the chat
ALTER TABLE usage ADD COLUMN tokens  INTEGER
  AS (input_tokens + output_tokens + cache_read + cache_write);

UPDATE usage SET job_id = CAST(substr(conversation, 5) AS INTEGER) WHERE conversation GLOB 'job:*';
UPDATE usage SET chat_id = coalesce((SELECT chat_id FROM jobs WHERE id = job_id), '')
 WHERE job_id IS NOT NULL;
-- 'chat:<chat>:<thread>', and a chat may have a colon in its name
UPDATE usage SET chat_id = substr(rtrim(rtrim(conversation, '0123456789'), ':'), 6)
 WHERE conversation GLOB 'chat:*';

CREATE INDEX usage_chat ON usage (chat_id, at);
