-- Permissions that nobody gave in time are looked for every minute, whatever else waits.

CREATE INDEX jobs_approvals ON jobs (approve_by) WHERE status = 'waiting' AND approve_by IS NOT NULL;
