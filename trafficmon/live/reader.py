"""The web process's way to frames and pictures: asynchronous, shared by all clients of the process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from django.urls import reverse

from assessment.ladder import LadderState
from assessment.service_level import LADDER_KEY, read_ladder
from cameras.load import PACE_KEY, read_pace
from detection.detect import PictureUnreadableError, cut_jpeg, read_picture, reduce_jpeg
from detection.detector import Picture
from trafficmon.core import metrics
from trafficmon.core.geometry import box_from
from trafficmon.live.messages import DetectionResult, GroupImage, ShownGroup, pack_picture
from trafficmon.live.snapshot import latest_key, read_latest, verdict_key
from trafficmon.live.tickets import ticket_key

Pictures = Literal["inline", "url", "binary", "none"]
WIDTHS = (320, 480, 640, 960)
"""Pictures are reduced to these few widths, so that many browsers of many sizes share them."""
SHARED_SECONDS = 10.0
"""So long a frame is kept for all clients: those that fall further behind get a newer one, and the last one of a camera
that has stopped is not kept for ever."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Form:
    """How a client wants a camera's frames; pictures at most `width` pixels wide, with 0 as they were captured."""

    pictures: Pictures = "inline"
    width: int = 0


def width_for(shown: int | None) -> int:
    """The width of pictures for who shows them `shown` pixels wide: none that would be enlarged."""
    return next((each for each in WIDTHS if each >= shown), 0) if shown else 0


class FrameReader:
    """Reads the newest frame of a camera, in the form a client wants it; that form is made once for all clients."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._sent: dict[int, str] = {}
        """The moment of each camera's newest frame that any client was sent."""
        self._made: dict[tuple[int, Form], tuple[str, asyncio.Task[Rendered | None]]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def aclose(self) -> None:
        """Let what is being read end, then close the connections."""
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._client.aclose()

    def _run(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        """Every call runs in a task of its own that callers shield: redis-py can swallow a cancellation, and a client
        that has gone would be served for ever."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def take_turn(self, name: str, *, seconds: int) -> bool:
        """Whether nobody took the turn `name` during the last `seconds`, in any process."""
        return await asyncio.shield(self._run(self._take_turn(name, seconds)))

    async def _take_turn(self, name: str, seconds: int) -> bool:
        return bool(await self._client.set(f"live:turn:{name}", "1", nx=True, ex=seconds))

    async def take_ticket(self, ticket: str) -> int | None:
        """The number of the API token that the ticket was given for; None where it was used, is too old or invented."""
        return await asyncio.shield(self._run(self._take_ticket(ticket)))

    async def _take_ticket(self, ticket: str) -> int | None:
        number = await self._client.getdel(ticket_key(ticket))
        return None if number is None else int(number)

    async def load(self) -> tuple[float, LadderState]:
        """By what every camera's interval is multiplied now, and how far assessment is reduced."""
        return await asyncio.shield(self._run(self._load()))

    async def _load(self) -> tuple[float, LadderState]:
        pace, ladder = await self._client.mget(PACE_KEY, LADDER_KEY)
        return read_pace(pace).stretch, read_ladder(ladder)

    async def run_id(self) -> str:
        """Which run of the Redis server answers; raises RedisError when none does."""
        return await asyncio.shield(self._run(self._run_id()))

    async def _run_id(self) -> str:
        return str((await self._client.info("server"))["run_id"])

    async def rendered(self, camera_id: int, form: Form, frame_key: str) -> Rendered | None:
        """The camera's newest frame as a message, `frame_key` or one after it; None when it is gone already."""
        key, task = self._made.get((camera_id, form), ("", None))
        if task is None or key != frame_key:
            task = self._run(self._render(camera_id, form))
            self._made[camera_id, form] = (frame_key, task)
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._forget, camera_id, form, frame_key)
        return await asyncio.shield(task)

    def _forget(self, camera_id: int, form: Form, frame_key: str) -> None:
        if self._made.get((camera_id, form), ("", None))[0] == frame_key:
            del self._made[camera_id, form]

    async def render(self, camera_id: int, form: Form) -> Rendered | None:
        """As `rendered`, read anew: with a verdict that came after the frame was first sent."""
        return await asyncio.shield(self._run(self._render(camera_id, form)))

    async def _render(self, camera_id: int, form: Form) -> Rendered | None:
        result = read_latest(await self._client.mget(latest_key(camera_id), verdict_key(camera_id)))
        if result is None:
            return None
        message = await self._message(result, form)
        return Rendered(result.frame_key, message, result.timestamp, result.traceparent or "")

    def note_sent(self, camera_id: int, captured_at: str, sent_at: datetime) -> None:
        """Measure how long after its capture a frame comes on screen: once, when the first client is sent it."""
        if captured_at > self._sent.get(camera_id, ""):
            self._sent[camera_id] = captured_at
            age = sent_at - datetime.fromisoformat(captured_at)
            metrics.detection_send_latency.observe(age.total_seconds())

    async def _message(self, result: DetectionResult, form: Form) -> str | bytes:
        match form.pictures:
            case "none":
                return result.as_text()
            case "url":
                address = reverse("frame", args=[result.frame_key])
                width = f"?width={form.width}" if form.width else ""
                return result.model_copy(update={"frame": address + width}).as_text()
            case "binary":
                return pack_picture(result, await self._reduced(await self._picture(result), form) or b"")
            case "inline":
                return (await self._with_pictures(result, form)).as_text()

    async def _with_pictures(self, result: DetectionResult, form: Form) -> DetectionResult:
        picture = await self._picture(result)
        # Cut only here, where somebody looks: most frames of most cameras are never shown in this form.
        images = await asyncio.to_thread(_group_images, result, picture) if picture else ()
        shown = _data_uri(await self._reduced(picture, form))
        return result.model_copy(update={"frame": shown, "group_images": images})

    async def _reduced(self, jpeg: bytes | None, form: Form) -> bytes | None:
        return await asyncio.to_thread(reduce_jpeg, jpeg, form.width) if jpeg and form.width else jpeg

    async def _picture(self, result: DetectionResult) -> bytes | None:
        return cast("bytes | None", await self._client.get(f"frame:{result.frame_key}"))


class Rendered:
    """A frame ready to be sent: text or, for `binary`, bytes."""

    __slots__ = ("captured_at", "frame_key", "message", "traceparent")

    def __init__(self, frame_key: str, message: str | bytes, captured_at: str, traceparent: str) -> None:
        self.frame_key = frame_key
        self.message = message
        self.captured_at = captured_at
        self.traceparent = traceparent


def _data_uri(jpeg: bytes | None) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else ""


def _group_images(result: DetectionResult, jpeg: bytes) -> tuple[GroupImage, ...]:
    """What each traffic group looks like; none where the picture cannot be read."""
    try:
        picture = read_picture(jpeg) if result.traffic_groups else None
    except PictureUnreadableError:
        picture = None
    return tuple(_image(group, picture) for group in result.traffic_groups) if picture is not None else ()


def _image(group: ShownGroup, picture: Picture) -> GroupImage:
    height, width = picture.shape[:2]
    place = box_from(group.bbox).grown(settings.MODEL_FILE.post_processing.crop_margin).clipped(width, height)
    return GroupImage(
        group_index=group.group_index,
        image_base64=_data_uri(cut_jpeg(picture, place)),
        bbox=group.bbox,
        object_count=group.object_count,
        classes=group.classes,
    )


class _Shared:
    """One reader of an event loop and how many use it."""

    def __init__(self) -> None:
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5, health_check_interval=15
        )
        self.reader = FrameReader(client)
        self.users = 0


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


@asynccontextmanager
async def shared_reader() -> AsyncIterator[FrameReader]:
    """The reader of this event loop; its connections close with its last user."""
    loop = asyncio.get_running_loop()
    shared = _shared.get(loop) or _shared.setdefault(loop, _Shared())
    shared.users += 1
    try:
        yield shared.reader
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[loop]
            await shared.reader.aclose()
