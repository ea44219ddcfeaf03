-- What was said in a conversation before the messages that the model is still shown, in short.

ALTER TABLE conversations ADD COLUMN summary TEXT;       -- the first message, in its place
ALTER TABLE conversations ADD COLUMN summary_at INTEGER; -- the last message there was by then
