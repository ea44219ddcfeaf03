-- What came without a sound in someone's quiet hours; when they end, one digest tells of it.
CREATE TABLE hushed (
  delivery_id INTEGER PRIMARY KEY,
  chat_id     TEXT    NOT NULL,
  job_id      INTEGER NOT NULL,
  due_at      TEXT    NOT NULL                        -- when those quiet hours end
);
CREATE INDEX hushed_due ON hushed (due_at);
