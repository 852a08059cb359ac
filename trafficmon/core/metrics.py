"""Every Prometheus metric of the system, under the names the outside contract fixes.

Processes of one host share a directory (PROMETHEUS_MULTIPROC_DIR), so `/metrics` adds them up.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, values

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # Containers that share the directory have the same process numbers; their host names differ.
    values.ValueClass = values.MultiProcessValue(lambda: f"{socket.gethostname()}-{os.getpid()}")  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped


def forget_dead_processes() -> None:
    """Remove the live gauges of this host's processes that ended without a word, or they would count for ever."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob(f"gauge_live*_{socket.gethostname()}-*.db") if folder else ():
        process = file.stem.rsplit("-", 1)[1]
        if not Path("/proc", process).exists() and Path("/proc/self").exists():
            file.unlink(missing_ok=True)


_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0, 60.0)

# Detection
detections = Counter("detection_total", "Frames detected", ["camera_id"])
detection_latency = Histogram("detection_latency_seconds", "Capture to detection stored", buckets=_FAST)
detected_objects = Counter("detected_objects_total", "Objects detected", ["object_class"])
detection_batch_size = Histogram(
    "detection_batch_size", "Pictures detected at once on a GPU", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
detection_batch_limit = Gauge(
    "detection_batch_limit", "The most pictures at once that memory allows", multiprocess_mode="livemin"
)
detection_memory_exhausted = Counter(
    "detection_memory_exhausted_total", "Batches for which a GPU's memory was too small"
)
traffic_groups = Counter("traffic_groups_total", "Traffic groups formed")
line_crossings = Counter(
    "line_crossings_total", "Counting lines crossed", ["camera_id", "line", "object_class", "direction"]
)

# Model
llm_requests = Counter("llm_requests_total", "Calls to the vision language model", ["model", "key_id", "status"])
llm_latency = Histogram("llm_latency_seconds", "Time a call took", ["model"], buckets=_SLOW)
llm_tokens = Counter("llm_token_usage_total", "Tokens used", ["model", "direction"])
llm_concurrent = Gauge("llm_concurrent_tasks", "Calls in flight", multiprocess_mode="livesum")
assessment_ladder_level = Gauge(
    "assessment_ladder_level",
    "0 all is judged, 1 only the urgent, 2 by a cheaper model, 3 geometry only, 4 nothing",
    multiprocess_mode="mostrecent",
)

llm_cost = Counter("llm_cost_total", "Cost of calls, in the currency of the prices", ["model", "account"])
llm_unpriced_calls = Counter("llm_unpriced_calls_total", "Calls of models that have no price", ["model"])

# Tasks and queues
tasks_generated = Counter("tasks_generated_total", "Tasks sent", ["task"])
tasks_processed = Counter("tasks_processed_total", "Tasks ended", ["task", "state"])
task_queue_size = Gauge("task_queue_size", "Messages waiting", ["queue"], multiprocess_mode="mostrecent")
queue_messages_sent = Counter("queue_messages_sent_total", "Messages sent", ["queue"])
queue_messages_received = Counter("queue_messages_received_total", "Messages received", ["queue"])
queue_send_errors = Counter("queue_send_errors_total", "Messages that could not be sent", ["queue"])
queue_consumer_lag = Gauge(
    "queue_consumer_lag", "Age of the oldest work waiting, seconds", ["queue"], multiprocess_mode="mostrecent"
)

# Frames and streams
frames_captured = Counter("frames_captured_total", "Frames sampled from cameras", ["camera_id"])
frames_decoded = Counter("frames_decoded_total", "Frames decoded for what is sampled", ["camera_id"])
decode_seconds = Counter("decode_seconds_total", "Processor time of decoding", ["camera_id"])
frames_dropped = Counter("frames_dropped_total", "Frames given up before detection", ["reason"])
frame_interval_stretch = Gauge(
    "frame_interval_stretch",
    "By what every camera's interval is multiplied for want of detection workers, 1 where none is wanting",
    multiprocess_mode="mostrecent",
)
active_cameras = Gauge("active_cameras", "Cameras with an open stream", multiprocess_mode="livesum")
notifications = Counter("notifications_total", "Attempts to notify, by kind and outcome", ["kind", "outcome"])
media_free = Gauge("media_free_bytes", "Free on the disk of the pictures", multiprocess_mode="mostrecent")
evidence_paused = Gauge(
    "evidence_paused", "1 while the disk is too full for pictures to be written", multiprocess_mode="mostrecent"
)
evidence_freed = Counter("evidence_freed_total", "Pictures given up so that the disk does not get full")
evidence_not_kept = Counter("evidence_not_kept_total", "Verdicts whose pictures were not written: the disk is full")
export_events = Counter("export_events_total", "Exported events by what became of them", ["sink", "outcome"])
export_waiting = Gauge("export_waiting", "Events that wait for a sink", ["sink"], multiprocess_mode="mostrecent")
export_parked = Gauge("export_parked", "Events refused for good", ["sink"], multiprocess_mode="mostrecent")
export_oldest = Gauge(
    "export_oldest_seconds", "Age of the oldest event that waits", ["sink"], multiprocess_mode="mostrecent"
)
pipeline_errors = Counter("pipeline_errors_total", "Failures by stage", ["stage"])

# Gate
gate_groups = Counter(
    "gate_groups_total",
    "Traffic groups by what became of them: asked, sampled, reuse, geometry, or why not",
    ["outcome"],
)
gate_samples = Counter(
    "gate_samples_total", "Sampled questions answered: missed (medium or high) or right", ["sampled_from", "outcome"]
)

# Risk
assessments = Counter("assessments_total", "Assessments by their final state", ["status", "reason"])
assessments_taken_over = Counter(
    "assessments_taken_over_total", "Questions taken from workers that died; each may have cost a second call"
)
answers_unused = Counter(
    "answers_unused_total", "Answers that came when the question was no longer this worker's to answer"
)
risk_alerts = Counter("risk_alerts_total", "Alerts opened", ["risk_level"])
risk_types_detected = Counter("risk_types_detected_total", "Risky verdicts by type", ["risk_type"])

# Keys
api_key_pool_size = Gauge("api_key_pool_size", "Configured keys", multiprocess_mode="mostrecent")
api_key_status = Gauge(
    "api_key_status", "0 disabled, 1 cooling, 2 in use, 3 available", ["key_id"], multiprocess_mode="mostrecent"
)
api_key_success_rate = Gauge(
    "api_key_success_rate", "Share of calls that succeeded", ["key_id"], multiprocess_mode="mostrecent"
)
api_key_calls = Gauge("api_key_total_calls", "Calls made since start", ["key_id"], multiprocess_mode="livesum")
api_key_cooldown = Gauge("api_key_cooldown_seconds", "Cooldown left", ["key_id"], multiprocess_mode="mostrecent")

system = Gauge("system_info", "Always 1, labelled with the version", ["version"], multiprocess_mode="mostrecent")
