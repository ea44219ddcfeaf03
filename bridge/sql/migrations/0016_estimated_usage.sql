-- A reply that was cut has cost what was written of it, which its provider does not tell.

ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0; -- 1 = a reply that was cut: guessed from its length
