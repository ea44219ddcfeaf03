-- Jobs in the chat: whose message is whose, cards that unfold, work that goes on from other work,
-- questions with buttons.

-- Every message that shows a job, also each part of a long result: a reply to it is about that job.
CREATE TABLE job_messages (
  chat_id    TEXT    NOT NULL,
  message_id INTEGER NOT NULL,
  job_id     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  what       TEXT    NOT NULL,                     -- card, result, failure, question, details, next
  PRIMARY KEY (chat_id, message_id)
) WITHOUT ROWID;
CREATE INDEX job_messages_job ON job_messages (job_id);
INSERT INTO job_messages (chat_id, message_id, job_id, what)
SELECT jobs.chat_id, max(cards.message_id), jobs.id, 'card'
  FROM cards JOIN jobs ON jobs.id = cards.job_id GROUP BY jobs.chat_id, cards.message_id;

ALTER TABLE cards ADD COLUMN unfolded INTEGER NOT NULL DEFAULT 0;  -- its last steps are shown

ALTER TABLE jobs ADD COLUMN continues INTEGER;        -- the job whose work it goes on with
ALTER TABLE jobs ADD COLUMN options TEXT;             -- JSON list: what may be tapped as an answer
ALTER TABLE jobs ADD COLUMN approve_by TEXT;          -- it asks to be allowed something, until then

-- The pages of what has ended: skipped over without reading a row, however deep.
CREATE INDEX jobs_ended ON jobs (chat_id, id, status) WHERE status IN ('done','failed','cancelled');
