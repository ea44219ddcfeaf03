-- Who does a job: the name of a persona of the profile.

ALTER TABLE jobs ADD COLUMN persona TEXT NOT NULL DEFAULT ''; -- '' = that of its kind, or of its chat
