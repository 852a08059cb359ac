"""Every Prometheus metric of the system, under the names the outside contract fixes.

What a process counts or holds itself is a metric here, and those of a host's processes are added up (`metric_files`).
What is a state of the whole fleet, in Redis or the database, is a `Figure`: it is looked up when somebody asks, and so
the same whichever host answers.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from trafficmon.core.metric_files import join_shared

join_shared()


@dataclass(frozen=True, slots=True)
class Figure:
    """A state of the whole fleet."""

    name: str
    says: str
    labels: tuple[str, ...] = ()

    def family(self) -> GaugeMetricFamily:
        """Room for its values at one moment."""
        return GaugeMetricFamily(self.name, self.says, labels=self.labels)


def may_scrape(authorization: str, *, token: str, is_local: bool) -> bool:
    """Whether metrics are for whoever sent this header: by the token, or from this machine where there is none."""
    if token:
        return hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return is_local


_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_STAGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SLOW = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0, 60.0)

# Detection
detections = Counter("detection_total", "Frames detected", ["camera_id"])
detection_latency = Histogram("detection_latency_seconds", "Capture to detection stored", buckets=_FAST)
detection_send_latency = Histogram(
    "detection_send_latency_seconds", "Capture to detection sent to the first browser that shows it", buckets=_FAST
)
stage_seconds = Histogram(
    "stage_seconds",
    "Time a frame spent in a stage: wait for a worker, detect, store, answer (the model's questions), close",
    ["stage"],
    buckets=_STAGES,
)
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

llm_cost = Counter("llm_cost_total", "Cost of calls, in the currency of the prices", ["model", "account"])
llm_unpriced_calls = Counter("llm_unpriced_calls_total", "Calls of models that have no price", ["model"])

# What an operator waits for
verdict_latency = Histogram("verdict_latency_seconds", "Capture to verdict", buckets=_SLOW)
verdict_overhead = Histogram(
    "verdict_overhead_seconds", "Capture to verdict, without the model's own time", buckets=_SLOW
)

# Tasks and queues
tasks_generated = Counter("tasks_generated_total", "Tasks sent", ["task"])
tasks_processed = Counter("tasks_processed_total", "Tasks ended", ["task", "state"])
queue_messages_sent = Counter("queue_messages_sent_total", "Messages sent", ["queue"])
queue_messages_received = Counter("queue_messages_received_total", "Messages received", ["queue"])
queue_send_errors = Counter("queue_send_errors_total", "Messages that could not be sent", ["queue"])

# Frames and streams
frames_captured = Counter("frames_captured_total", "Frames sampled from cameras", ["camera_id"])
frames_decoded = Counter("frames_decoded_total", "Frames decoded for what is sampled", ["camera_id"])
decode_seconds = Counter("decode_seconds_total", "Processor time of decoding", ["camera_id"])
frames_dropped = Counter("frames_dropped_total", "Frames given up before detection", ["reason"])
active_cameras = Gauge("active_cameras", "Cameras with an open stream", multiprocess_mode="livesum")
notifications = Counter("notifications_total", "Attempts to notify, by kind and outcome", ["kind", "outcome"])
media_free = Gauge("media_free_bytes", "Free on the disk of the pictures", multiprocess_mode="mostrecent")
evidence_paused = Gauge(
    "evidence_paused", "1 while the disk is too full for pictures to be written", multiprocess_mode="mostrecent"
)
evidence_freed = Counter("evidence_freed_total", "Pictures given up so that the disk does not get full")
evidence_not_kept = Counter("evidence_not_kept_total", "Verdicts whose pictures were not written: the disk is full")
export_events = Counter("export_events_total", "Exported events by what became of them", ["sink", "outcome"])
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
api_key_calls = Gauge("api_key_total_calls", "Calls made since the fleet's start", ["key_id"], multiprocess_mode="sum")

system = Gauge("system_info", "Always 1, labelled with the version", ["version"], multiprocess_mode="livemax")

# The fleet as a whole
task_queue_size = Figure("task_queue_size", "Messages waiting", ("queue",))
queue_consumer_lag = Figure("queue_consumer_lag", "Age of the oldest work waiting, seconds", ("queue",))
export_waiting = Figure("export_waiting", "Events that wait for a sink", ("sink",))
export_parked = Figure("export_parked", "Events refused for good", ("sink",))
export_oldest = Figure("export_oldest_seconds", "Age of the oldest event that waits", ("sink",))
api_key_pool_size = Figure("api_key_pool_size", "Configured keys")
api_key_status = Figure("api_key_status", "0 disabled, 1 cooling, 2 in use, 3 available", ("key_id",))
api_key_success_rate = Figure("api_key_success_rate", "Share of calls that succeeded", ("key_id",))
api_key_cooldown = Figure("api_key_cooldown_seconds", "Cooldown left", ("key_id",))
assessment_ladder_level = Figure(
    "assessment_ladder_level", "0 all is judged, 1 only the urgent, 2 by a cheaper model, 3 geometry only, 4 nothing"
)
frame_interval_stretch = Figure(
    "frame_interval_stretch",
    "By what every camera's interval is multiplied for want of detection workers, 1 where none is wanting",
)
worker_seen = Figure("worker_seen", "1 where somebody does this work, 0 where nobody was seen lately", ("worker",))
camera_info = Figure("camera_info", "Always 1, labelled with the camera's name", ("camera_id", "camera"))
camera_up = Figure("camera_up", "Of cameras that are to run: 1 online, 0 not", ("camera_id",))
camera_silent = Figure("camera_silent_seconds", "Of cameras that are to run: since their last picture", ("camera_id",))
budget_spent = Figure("llm_budget_spent_share", "Used of the day's budget that ends first; 0 without one")
spent_today = Figure("llm_spent_today", "Cost of today's calls, in the currency of the prices", ("account",))
FIGURES = tuple(each for each in vars().values() if isinstance(each, Figure))
