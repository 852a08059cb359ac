-- What a fleet of 200 cameras leaves behind in 90 days, made by the database itself. Statements end with a line ";".
-- :frames, :now, :days, :cameras are put in by tests/load/seed_history.py. Everything follows from a row's number, so
-- that two runs seed alike but for their moments.

SET synchronous_commit = off
;
SET maintenance_work_mem = '1GB'
;
SET work_mem = '128MB'
;
SELECT setseed(0.42)
;
INSERT INTO accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
                           date_joined, role)
SELECT n, '', n = 1, 'user' || n, '', '', '', n = 1, true, now(),
       (ARRAY['administrator', 'supervisor', 'supervisor', 'operator', 'operator', 'viewer'])[n]
FROM generate_series(1, 6) n
;
INSERT INTO cameras_cameragroup (id, name) SELECT n, 'District ' || n FROM generate_series(1, 10) n
;
INSERT INTO cameras_cameragroup_viewers (cameragroup_id, user_id) VALUES (1, 4), (2, 4)
;
INSERT INTO cameras_camera (id, name, source, detection_source, sampling, detection_enabled, assessment_enabled, wanted,
                            state, state_since, last_frame_at, last_error, created_at, group_id)
SELECT n, 'Camera ' || lpad(n::text, 3, '0'), '', '', 'burst', true, true, 'running', 'online',
       :now - interval '1 hour', :now, '', :now - interval '100 days', 1 + n % 10
FROM generate_series(1, :cameras) n
;
INSERT INTO cameras_countingline (id, name, ends, classes, camera_id)
SELECT n, 'gate', '[[0.1, 0.6], [0.9, 0.6]]', '[]', 3 * n FROM generate_series(1, :cameras / 3) n
;
INSERT INTO cameras_statechange (at, state, error, camera_id)
SELECT :now - (:days * n / 400.0) * interval '1 day' - c * interval '7 seconds',
       (ARRAY['online', 'stale', 'offline', 'connecting'])[1 + n % 4], '', c
FROM generate_series(1, :cameras) c, generate_series(1, 400) n
;
-- Traffic by the hour: little at night, most between six and twenty; cameras differ in how much they see.
CREATE FUNCTION pg_temp.moment(share double precision) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT date_trunc('day', :now) - :days * interval '1 day' + floor(share * (:days + :today)) * interval '1 day'
    + interval '1 second' * CASE
        WHEN v < 0.10 THEN v / 0.10 * 21600
        WHEN v < 0.90 THEN 21600 + (v - 0.10) / 0.80 * 50400
        ELSE 72000 + (v - 0.90) / 0.10 * 14399 END
  FROM (SELECT share * (:days + :today) - floor(share * (:days + :today)) AS v) AS within
$$
;
INSERT INTO assessment_frameresult (
    id, camera_id, frame_key, captured_at, detected_at, deadline_at, closed_at, width, height, detections,
    traffic_groups, process_seconds, model, tracking_enabled, burst, evidence_key, status, reason, max_risk_level,
    partial, skipped_groups)
SELECT n, camera, lpad(to_hex(n), 32, '0'), at, at + interval '0.06 s', at + interval '60 s', at + interval '2.4 s', 1280, 720,
       '[["car", 0.91, 100, 200, 140, 230, 1], ["car", 0.88, 150, 200, 190, 230, 2],
         ["person", 0.71, 610, 300, 630, 360, 3], ["car", 0.66, 640, 290, 720, 350, 4]]',
       '[[1, [0, 1], [100, 200, 190, 230], [88, 188, 202, 242], 0.895, ["car", "car"]],
         [2, [2, 3], [610, 290, 720, 360], [598, 278, 732, 372], 0.685, ["person", "car"]]]',
       0.02 + n % 17 / 1000.0, 'trafficmon-sample', true, '[]', '',
       CASE WHEN lost = 0 THEN 'expired' WHEN lost < 3 THEN 'failed' ELSE 'done' END, '',
       CASE WHEN lost < 3 THEN 'none' WHEN risk < 5 THEN 'high' WHEN risk < 20 THEN 'medium' WHEN risk < 45 THEN 'low'
            ELSE 'none' END,
       lost < 3,
       CASE n % 7 WHEN 0 THEN '[[3, "low_prior", 0.05, "near_vehicle"]]'::jsonb
                  WHEN 1 THEN CASE WHEN n % 5 = 0 THEN '[[3, "duplicate_of_recent", 0.3, "near_vehicle"]]'::jsonb
                                   ELSE '[]' END
                  ELSE '[]' END
FROM (
    SELECT n, pg_temp.moment(n / (:frames + 1.0)) AS at, 1 + floor(:cameras * power(random(), 1.4))::int AS camera,
           n * 104729 % 100 AS lost, n * 7919 % 100 AS risk
    FROM generate_series(1, :frames::bigint) n
) AS frame
WHERE at < :now
;
INSERT INTO assessment_assessment (
    id, frame_result_id, camera_id, group_index, urgent, status, reason, created_at, turn_at, next_at, deadline_at,
    ended_at, lease_token, attempts, calls, late, judged_by, sampled_from, prior, prior_reason, account, key,
    risk_level, risk_type, description, confidence, risk_types, danger_object_count, trigger_object_ids, llm_model,
    prompt_version, llm_seconds, input_tokens, output_tokens, raw_text)
SELECT 2 * id - 2 + g, id, camera_id, g, risk < 20 AND g = 1, status,
       CASE status WHEN 'failed' THEN 'timeout' WHEN 'expired' THEN 'deadline passed' ELSE '' END,
       detected_at, detected_at, detected_at, deadline_at, detected_at + seconds * interval '1 second', '',
       CASE status WHEN 'failed' THEN 3 ELSE 0 END,
       CASE WHEN judge <> 'model' THEN 0 WHEN status = 'failed' THEN 3 WHEN status = 'expired' THEN 0 ELSE 1 END,
       false, judge, CASE WHEN judge = 'model' AND g = 2 AND id % 83 = 0 THEN 'low_prior' ELSE '' END,
       0.1 + risk / 200.0, 'near_vehicle', 'acct-' || 'abc' || id % 3, 'key-' || id % 10, level,
       CASE WHEN level = '' THEN '' ELSE (ARRAY['tailgating', 'unsafe_lane_change', 'emergency_lane', 'red_light',
         'wrong_way', 'pedestrian_conflict', 'illegal_stop', 'congestion', 'other'])[1 + (id + g) % 9] END,
       CASE WHEN level = '' THEN '' ELSE 'The silver car passes close behind the white one, in the second lane.' END,
       CASE WHEN level = '' THEN NULL ELSE 0.5 + risk % 50 / 100.0 END, '["following closely"]', 2, '[1, 2]',
       CASE WHEN judge = 'model' AND level <> '' THEN 'qwen-vl-plus' ELSE '' END,
       CASE WHEN judge = 'model' AND level <> ''
            THEN CASE WHEN id < :frames * 2 / 3 THEN 'default-v2/zh-hans' ELSE 'default-v3/zh-hans' END ELSE '' END,
       CASE WHEN judge = 'model' AND level <> '' THEN seconds END, 1400, 120,
       CASE WHEN level = '' THEN '' ELSE '{"hasDangerousDriving": true, "results": [{"groupIndex": 1, "confidence": 0.8}]}' END
FROM (
    SELECT frame.id, camera_id, detected_at, deadline_at, g, n.risk,
           CASE WHEN g = 1 AND frame.status <> 'done' THEN frame.status ELSE 'done' END AS status,
           CASE WHEN g = 2 AND frame.id % 10 = 0 THEN 'reuse' WHEN g = 2 AND frame.id % 20 = 1 THEN 'geometry'
                ELSE 'model' END AS judge,
           CASE WHEN g = 1 AND frame.status <> 'done' THEN ''
                WHEN g = 1 THEN frame.max_risk_level
                WHEN frame.id % 20 = 1 THEN 'low'
                WHEN frame.id % 83 = 0 AND frame.id % 11 = 0 THEN 'medium'
                WHEN n.risk < 45 THEN 'low' ELSE 'none' END AS level,
           0.6 + 0.9 * -ln(1 - random()) AS seconds
    FROM (SELECT id, camera_id, detected_at, deadline_at, status, max_risk_level FROM assessment_frameresult) AS frame,
         LATERAL (SELECT frame.id * 7919 % 100 AS risk) AS n,
         generate_series(1, 2) AS g
) AS question
;
INSERT INTO assessment_alert (
    id, kind, camera_id, assessment_id, risk_type, risk_level, state, description, risk_types, place, track_ids,
    times_seen, opened_at, last_seen_at, closed_at, acknowledged_at, acknowledged_by_id, assigned_to_id)
SELECT row_number() OVER (ORDER BY id), 'danger', camera_id, id, risk_type, risk_level, state, description, risk_types,
       '[100, 200, 190, 230]', '[1, 2]', 1 + id % 4, created_at, created_at + id % 9 * interval '1 second',
       CASE WHEN state = 'closed' THEN created_at + interval '40 s' END,
       CASE WHEN id % 3 = 0 THEN created_at + interval '20 s' END, CASE WHEN id % 3 = 0 THEN 2 + id % 4 END,
       CASE WHEN id % 11 = 0 THEN 2 + id % 4 END
FROM (
    SELECT *, CASE WHEN created_at < :now - interval '10 minutes' AND id % 40000 <> 1 THEN 'closed'
                   WHEN id % 3 = 0 THEN 'acknowledged' ELSE 'open' END AS state
    FROM assessment_assessment WHERE group_index = 1 AND risk_level IN ('medium', 'high')
) AS verdict
;
INSERT INTO assessment_alert (
    id, kind, camera_id, risk_type, risk_level, state, description, risk_types, place, track_ids, times_seen, opened_at,
    last_seen_at, closed_at)
SELECT n + (SELECT max(id) FROM assessment_alert), 'camera_lost', 1 + n % :cameras, 'other', 'medium', 'closed',
       'No picture.', '[]', '[]', '[]', 1, at, at + interval '5 minutes', at + interval '5 minutes'
FROM (SELECT n, pg_temp.moment(n / (:frames * 0.006 + 1.0)) AS at
      FROM generate_series(1, (:frames * 0.006)::bigint) n) AS gone
WHERE at < :now
;
INSERT INTO assessment_alertevent (kind, at, by_id, by_name, assessment_id, risk_level, words, alert_id)
SELECT 'opened', opened_at, NULL::bigint, '', assessment_id, risk_level, '', id FROM assessment_alert
UNION ALL
SELECT 'closed', closed_at, NULL, '', NULL, '', '', id FROM assessment_alert WHERE state = 'closed'
;
INSERT INTO assessment_evidence (kind, number, picture, sha256, created_at, assessment_id)
SELECT picture, 0, 'evidence/none/' || assessment_id || '.jpg', repeat('0', 64), opened_at, assessment_id
FROM assessment_alert, unnest(ARRAY['frame', 'crop']) AS picture WHERE assessment_id IS NOT NULL
;
-- Every tenth alert is judged, every fortieth by two people. Prompt v3 is the better one; nights are worse.
INSERT INTO assessment_alertjudgement (
    truth, right_level, judged_at, is_latest, opened_at, risk_level, risk_type, judged_by, llm_model, prompt_version,
    alert_id, camera_id, judge_id)
SELECT truth,
       CASE truth WHEN 'unsure' THEN '' WHEN 'false' THEN CASE WHEN id % 4 = 0 THEN 'low' ELSE 'none' END
            ELSE CASE WHEN id % 7 = 0 THEN 'low' ELSE risk_level END END,
       opened_at + judge * interval '1 hour', NOT (judge = 1 AND id % 40 = 0), opened_at, risk_level, risk_type,
       'model', 'qwen-vl-plus', version, id, camera_id, 1 + judge
FROM (
    SELECT alert.*, judge,
           CASE WHEN chance < 0.06 THEN 'unsure'
                WHEN chance < 0.20 + camera_id % 10 / 50.0 + extract(hour FROM opened_at) / 120
                     - CASE WHEN version LIKE '%v3%' THEN 0.08 ELSE 0 END THEN 'false' ELSE 'true' END AS truth
    FROM (SELECT alert.*, prompt_version AS version, random() AS chance
          FROM assessment_alert alert JOIN assessment_assessment asked ON asked.id = assessment_id
          WHERE alert.id % 10 = 0) AS alert,
         generate_series(1, 2) AS judge
    WHERE judge = 1 OR alert.id % 40 = 0
) AS judged
;
INSERT INTO assessment_linecount (hour, object_class, direction, count, line_id)
SELECT hour, class, direction, 1 + floor(random() * 120 * weight)::int, line.id
FROM generate_series(date_trunc('hour', :now) - :days * interval '1 day', date_trunc('hour', :now), interval '1 hour')
       AS hour,
     cameras_countingline AS line,
     (VALUES ('car', 1.0), ('bus', 0.1), ('truck', 0.2), ('motorcycle', 0.15), ('bicycle', 0.1), ('person', 0.1))
       AS kind (class, weight),
     unnest(ARRAY['forward', 'backward']) AS direction
;
INSERT INTO assessment_spending (day, account, key, prompt_version, model, calls, failed_calls, input_tokens,
                                 output_tokens, cost, camera_id)
SELECT day::date, 'acct-abc' || key % 3, 'key-' || key,
       CASE WHEN day < :now - :days / 3 * interval '1 day' THEN 'default-v2/zh-hans' ELSE 'default-v3/zh-hans' END,
       'qwen-vl-plus', 60, 1, 84000, 7200, 0.08, camera.id
FROM generate_series(:now - :days * interval '1 day', :now, interval '1 day') AS day, cameras_camera AS camera,
     generate_series(1, 10) AS key
;
INSERT INTO assessment_deadletter (reason, detail, attempts, died_at, state, ended_at, assessment_id)
SELECT 'timeout', '', 3, ended_at, CASE WHEN id % 50 = 1 THEN 'waiting' ELSE 'dropped' END, NULL, id
FROM assessment_assessment WHERE status = 'failed'
;
INSERT INTO accounts_auditentry (at, actor_id, actor_name, token, action, object_id, object_name, detail, address)
SELECT acknowledged_at, acknowledged_by_id, 'user' || acknowledged_by_id, '', 'alert.acknowledge', id, 'alert', '{}',
       '10.0.0.1'
FROM assessment_alert WHERE acknowledged_at IS NOT NULL
;
