-- A file that came without a word: nobody has said yet what it is for. The row goes when somebody does.
CREATE TABLE file_questions (
  update_id  INTEGER PRIMARY KEY,                     -- of the file
  chat_id    TEXT    NOT NULL,
  thread_id  INTEGER NOT NULL DEFAULT 0,
  message_id INTEGER NOT NULL,
  files      TEXT    NOT NULL,                        -- JSON: references, as a conversation keeps them
  until      INTEGER NOT NULL                         -- unix seconds: words sent by then belong to it
);
CREATE INDEX file_questions_chat ON file_questions (chat_id, thread_id);
