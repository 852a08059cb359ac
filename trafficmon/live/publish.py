"""Tell the browsers what happened. Called after commit, from any thread or process; synchronous.

Events go to Redis in the channel layer's own format, over the process's ordinary client: see
docs/decisions/0004-live-feed.md. A feed that cannot be reached never stops the work that it reports.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import redis
import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils import translation

from assessment.ladder import LadderState
from assessment.models import Alert, FrameResult
from assessment.risk import AssessmentStatus
from cameras.frames import connect_redis
from cameras.models import Camera
from cameras.wording import in_words
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.core.objects import ObjectClass
from trafficmon.live import compose, snapshot
from trafficmon.live.messages import AlertChange, CameraStatus, Outgoing, StreamStopped
from trafficmon.live.topics import EVERYBODY, Event, LoadReady, MessageReady, alert_key, camera_topic, status_key

log = structlog.get_logger()

QUEUE = "live"
Arguments = ParamSpec("Arguments")


def _best_effort(publish: Callable[Arguments, None]) -> Callable[Arguments, None]:
    @functools.wraps(publish)
    def attempt(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            publish(*args, **kwargs)
        except redis.RedisError as error:
            metrics.queue_send_errors.labels(QUEUE).inc()
            log.warning("live.publish_failed", what=publish.__name__, error=str(error))

    return attempt


@_best_effort
def publish_frame(row: FrameResult) -> None:
    """A frame was detected: show it at once, with the camera's last verdict."""
    client = connect_redis()
    asked = [] if row.status == AssessmentStatus.SKIPPED else list(row.assessments.all())
    result = compose.detection_result(row, asked, supported=supported_classes())
    if snapshot.keep_latest(client, result.with_verdict(snapshot.last_verdict(client, row.camera_id))):
        send(client, row.camera_id, {"type": "frame.ready", "camera_id": row.camera_id, "frame_key": row.frame_key})


@_best_effort
def publish_verdict(row: FrameResult) -> None:
    """A frame was judged."""
    verdict = compose.assessment_result(row, sorted(row.assessments.all(), key=lambda each: each.group_index))
    client = connect_redis()
    snapshot.keep_verdict(client, verdict)
    send(client, row.camera_id, {**_ready(row.camera_id, verdict), "about": "verdict"})


@_best_effort
def publish_alert(alert_id: int, change: str) -> None:
    """An alert was opened, updated, escalated, acknowledged or closed."""
    alert = Alert.objects.select_related("camera", "acknowledged_by").get(pk=alert_id)
    message = compose.alert_message(alert, change=AlertChange(change), now=utc_now())
    client = connect_redis()
    snapshot.keep_alert(client, message)
    send(
        client, alert.camera_id, {**_ready(alert.camera_id, message), "about": "alert", "outdates": alert_key(alert_id)}
    )


@_best_effort
def publish_camera_status(camera_id: int) -> None:
    """A camera's state as it was just seen and written down."""
    camera = Camera.objects.get(pk=camera_id)
    _send_state(camera_id, lambda: compose.camera_status(camera))


@_best_effort
def publish_stream_stopped(camera_id: int, reason: str) -> None:
    """A camera's stream ended because it was told to, or for good."""
    _send_state(camera_id, lambda: StreamStopped(camera_id=camera_id, reason=in_words(reason)))


@_best_effort
def publish_load(stretch: float, ladder: LadderState) -> None:
    """Every camera's interval is stretched by another factor, or assessment reduced otherwise, from now on."""
    event: LoadReady = {"type": "load.ready", "text": compose.load_message(stretch, ladder).as_text()}
    _publish(connect_redis(), EVERYBODY, event)


def supported_classes() -> tuple[ObjectClass, ...]:
    """The classes that this installation keeps."""
    included = settings.MODEL_FILE.classes.include
    return tuple(each for each in settings.ENVIRONMENT.allowed_classes if each in included)


def _ready(camera_id: int, message: Outgoing) -> MessageReady:
    return {"type": "message.ready", "camera_id": camera_id, "text": message.as_text()}


def _send_state(camera_id: int, say: Callable[[], CameraStatus | StreamStopped]) -> None:
    """What is said of a camera's state, in each language, since whoever is told may read any."""
    texts = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            texts[language] = say().as_text()
    event: MessageReady = {**_ready(camera_id, say()), "texts": texts}
    send(connect_redis(), camera_id, {**event, "about": "status", "replaces": status_key(camera_id)})


def send(client: redis.Redis, camera_id: int, event: Event) -> None:
    """Publish `event` to everyone who watches the camera."""
    _publish(client, camera_topic(camera_id), event)


def _publish(client: redis.Redis, topic: str, event: Event) -> None:
    client.publish(redis_channel(topic), _layer().serialize(event))
    metrics.queue_messages_sent.labels(QUEUE).inc()


def redis_channel(topic: str) -> str:
    """Where the channel layer listens for the group `topic`; a test holds this against the layer itself."""
    layers: Any = settings.CHANNEL_LAYERS
    return f"{layers['default']['CONFIG']['prefix']}__group__{topic}"


def _layer() -> Any:
    return get_channel_layer()
