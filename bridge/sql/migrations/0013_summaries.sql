-- What was said in a conversation before the messages that the model is still shown, in short.

ALTER TABLE conversations ADD COLUMN summary TEXT;
