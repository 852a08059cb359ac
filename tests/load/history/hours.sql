-- The figures of hours as assessment/hours.py adds them up, here in one go; hours are then counted one by one by that
-- module itself and compared.
INSERT INTO assessment_camerahour (
    camera_id, hour, frames_done, frames_failed, frames_expired, frames_skipped, answered, reused, guessed, failed,
    expired, verdicts_none, verdicts_low, verdicts_medium, verdicts_high, sampled, missed, timed, left_switched_off,
    left_too_few, left_low_prior, left_cooldown, left_duplicate, left_urgent_only, left_no_model, seconds, steps)
SELECT camera_id, hour, coalesce(frames_done, 0), coalesce(frames_failed, 0), coalesce(frames_expired, 0), 0,
       coalesce(answered, 0), coalesce(reused, 0), coalesce(guessed, 0), coalesce(failed, 0), coalesce(expired, 0),
       coalesce(verdicts_none, 0), coalesce(verdicts_low, 0), coalesce(verdicts_medium, 0), coalesce(verdicts_high, 0),
       coalesce(sampled, 0), coalesce(missed, 0), coalesce(timed, 0), 0, 0, coalesce(left_low_prior, 0), 0,
       coalesce(left_duplicate, 0), 0, 0, coalesce(seconds, 0), coalesce(steps, '{}')
FROM (
    SELECT camera_id, date_trunc('hour', captured_at) AS hour, count(*) FILTER (WHERE status = 'done') AS frames_done,
           count(*) FILTER (WHERE status = 'failed') AS frames_failed,
           count(*) FILTER (WHERE status = 'expired') AS frames_expired,
           count(*) FILTER (WHERE skipped_groups -> 0 ->> 1 = 'low_prior') AS left_low_prior,
           count(*) FILTER (WHERE skipped_groups -> 0 ->> 1 = 'duplicate_of_recent') AS left_duplicate
    FROM assessment_frameresult GROUP BY 1, 2
) AS frames
FULL JOIN (
    SELECT camera_id, hour, sum(answered) AS answered, sum(reused) AS reused, sum(guessed) AS guessed,
           sum(failed) AS failed, sum(expired) AS expired, sum(verdicts_none) AS verdicts_none,
           sum(verdicts_low) AS verdicts_low, sum(verdicts_medium) AS verdicts_medium,
           sum(verdicts_high) AS verdicts_high, sum(sampled) AS sampled, sum(missed) AS missed, sum(timed) AS timed,
           sum(seconds) AS seconds, coalesce(jsonb_object_agg(step, timed) FILTER (WHERE step IS NOT NULL), '{}') AS steps
    FROM (
        SELECT camera_id, date_trunc('hour', created_at) AS hour,
               ceil(round(ln((llm_seconds / 0.05)::numeric) / ln(1.05), 9)) AS step,
               count(*) FILTER (WHERE status = 'done' AND judged_by = 'model') AS answered,
               count(*) FILTER (WHERE judged_by = 'reuse') AS reused,
               count(*) FILTER (WHERE judged_by = 'geometry') AS guessed,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'expired') AS expired,
               count(*) FILTER (WHERE risk_level = 'none') AS verdicts_none,
               count(*) FILTER (WHERE risk_level = 'low') AS verdicts_low,
               count(*) FILTER (WHERE risk_level = 'medium') AS verdicts_medium,
               count(*) FILTER (WHERE risk_level = 'high') AS verdicts_high,
               count(*) FILTER (WHERE status = 'done' AND sampled_from <> '') AS sampled,
               count(*) FILTER (WHERE sampled_from <> '' AND risk_level IN ('medium', 'high')) AS missed,
               count(llm_seconds) AS timed, coalesce(sum(llm_seconds), 0) AS seconds
        FROM assessment_assessment GROUP BY 1, 2, 3
    ) AS by_step GROUP BY 1, 2
) AS questions USING (camera_id, hour)
ORDER BY hour, camera_id
;
