-- What a job leaves beside its result, written in the commit that ends it.
CREATE TABLE job_results (
  job_id  INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  summary TEXT NOT NULL DEFAULT '',                  -- as the job said it; '' = read its first words
  metrics TEXT NOT NULL                              -- JSON: model and tool calls, tokens, cost, time
);
