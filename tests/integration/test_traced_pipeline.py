"""One frame's trace over real processes: capture, and a Celery worker for all queues. (Its end in the
browser: test_consumer.py.)"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from assessment.simulator import Latency, running_simulator
from tests.collector import Collector, Seen, collecting
from tests.factories import make_camera
from tests.processes import Running, database_url, wait_until
from workers.queues import Queue
from workers.runtime import celery_worker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

QUEUES = (Queue.DETECT, Queue.ASSESS_URGENT, Queue.ASSESS, Queue.RESULTS)
WAY = {
    "capture.sample": "",
    "detect": "capture.sample",
    "detect.wait": "detect",
    "detect.decode": "detect",
    "detect.infer": "detect",
    "detect.track": "detect",
    "gate": "detect",
    "store": "detect",
    "assess": "store",
    "assess.claim": "assess",
    "assess.reserve": "assess",
    "assess.call": "assess",
    "assess.wait": "assess.call",
    "assess.parse": "assess",
    "assess.store": "assess",
    "close": "store",
}
"""Each step of a judged frame and the one it is a part of, or continues. `publish` belongs to two."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def end_at_once(running: Running) -> None:
    if running.process.poll() is None:
        running.kill()


@pytest.fixture
def start(
    tmp_path: Path, redis_client: redis.Redis, collector: Collector
) -> Iterator[Callable[[list[str], str], Running]]:
    (tmp_path / "model.yaml").write_text(
        "model: {name: sample}\nllm: {prior_threshold: {ask: 0.0}, cooldown_seconds: 0, reuse_seconds: 0}\n"
    )
    with ExitStack() as at_end:
        simulator = at_end.enter_context(running_simulator(latency=Latency(median_seconds=0), seed=1))
        environment = {
            "DATABASE_URL": database_url(),
            "ALGO_MODEL_CONFIG_PATH": str(tmp_path / "model.yaml"),
            "ALGO_LLM_BASE_URL": simulator.base_url,
            "DASHSCOPE_API_KEY": "sk-of-the-tests",
            "ALGO_FRAME_INTERVAL": "1.5",
            "ALGO_LOG_FORMAT": "json",
            "ALGO_LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

        def begin(command: list[str], name: str) -> Running:
            running = Running(command, tmp_path / f"{name}.log", environment)
            at_end.callback(end_at_once, running)
            return running

        yield begin


def judged(collector: Collector) -> list[Seen]:
    """The spans of a frame whose questions were all answered and that was closed; none until there is one."""
    for closed in list(collector.named("close")):
        spans = collector.of(closed.trace_id)
        if WAY.keys() <= {each.name for each in spans}:
            return spans
    return []


def test_frame_is_one_trace_from_capture_to_its_verdict_across_processes(
    start: Callable[[list[str], str], Running], collector: Collector
) -> None:
    camera = make_camera(source="street://junction?seed=5")
    camera.wanted = "running"
    camera.save()
    worker = start(celery_worker(QUEUES, name="all", threads=3), "worker")
    worker.wait_for("detector.ready", seconds=240)
    capture = start([sys.executable, "manage.py", "capture"], "capture")
    wait_until(
        lambda: judged(collector),
        240,
        failing=lambda: f"{sorted({each.name for each in collector.spans})}\n{worker.said()[-3000:]}{capture.said()}",
    )
    capture.end()
    worker.end()
    spans = judged(collector)
    by_id = {each.span_id: each for each in spans}
    found = {each.name: by_id[each.parent].name if each.parent else "" for each in spans if each.name != "publish"}
    assert found.items() >= WAY.items()
    assert {by_id[each.parent].name for each in spans if each.name == "publish"} == {"detect", "close"}
    assert len({each.trace_id for each in spans}) == 1
    assert len({each.process for each in spans}) == 2
    # Children lie within what they are a part of, and what follows comes after.
    for each in spans:
        if each.parent and each.name not in {"detect", "assess", "close"}:
            assert by_id[each.parent].began <= each.began <= each.ended <= by_id[each.parent].ended, each

    sample = next(each for each in spans if each.name == "capture.sample")
    call = next(each for each in spans if each.name == "assess.call")
    assert sample.attributes["trafficmon.camera_id"] == camera.pk
    assert sample.attributes["trafficmon.frame_key"] == spans_of(spans, "detect").attributes["trafficmon.frame_key"]
    assert call.attributes.keys() == {"trafficmon.model", "trafficmon.key_id"}
    assert "sk-of" not in str([each.attributes for each in collector.spans])
    check_logs(worker.said(), capture.said())


def check_logs(*logs: str) -> None:
    """Each line is one JSON object, libraries' lines too, and within a frame it says of which trace and camera."""
    # Celery says by itself, past all logging, that a worker was told to end.
    said = [
        line for log in logs for line in log.splitlines() if line not in {"", "worker: Warm shutdown (MainProcess)"}
    ]
    lines = [json.loads(line) for line in said]
    assert [each for each in lines if not each.keys() >= {"timestamp", "level", "event"}] == []
    assert [each for each in lines if "exception" in each] == []
    in_frames = [each for each in lines if "trace_id" in each]
    assert {each.get("logger") for each in in_frames} - {None}, "no library said anything within a frame"
    assert [each for each in in_frames if not each.keys() >= {"span_id", "camera_id"}] == []


def spans_of(spans: list[Seen], name: str) -> Seen:
    return next(each for each in spans if each.name == name)
