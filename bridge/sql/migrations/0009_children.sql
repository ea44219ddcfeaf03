-- Jobs that a job has started and that have not ended: looked through for those nobody wants any more.
CREATE INDEX jobs_live_children ON jobs (parent_id)
 WHERE parent_id IS NOT NULL AND status IN ('pending','scheduled','blocked','running','waiting');
