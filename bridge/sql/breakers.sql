-- name: breaker
-- What is known of one thing that fails, for one kind of job.
SELECT opened_at FROM breakers WHERE name = :name AND kind = :kind

-- name: count_failure
-- One more in a row. An open one counts its probes instead: who was running proves no more.
INSERT INTO breakers (name, kind, failures, reason) VALUES (:name, :kind, 1, :reason)
ON CONFLICT (name, kind) DO UPDATE SET failures = failures + (opened_at IS NULL),
                                       reason = excluded.reason
RETURNING failures, opened_at

-- name: shut_breaker
-- Nobody is claimed for it until then; a wait is never made shorter, unless it began at a time that
-- is yet to come: the clock was ahead then and has been set back since.
UPDATE breakers SET opened_at = min(coalesce(opened_at, :now), :now),
                    open_until = CASE WHEN opened_at > :now THEN :until
                                 ELSE max(coalesce(open_until, ''), :until) END
 WHERE name = :name AND kind = :kind

-- name: drop_breaker
-- It works again.
DELETE FROM breakers WHERE name = :name AND kind = :kind

-- name: probe_breakers
-- The job just claimed tries for all that wait: nobody else is claimed before it has had time to.
-- It counts as one more failure until it succeeds, so that the next wait is longer.
UPDATE breakers SET failures = failures + 1,
       open_until = strftime('%Y-%m-%d %H:%M:%f', :now, :probe_s || ' seconds')
 WHERE kind IN ('*', :kind) AND opened_at IS NOT NULL AND open_until <= :now

-- name: open_breakers
-- What is left alone now, the longest first.
SELECT name, kind, failures, opened_at, open_until, reason FROM breakers
 WHERE opened_at IS NOT NULL ORDER BY opened_at, name, kind
