"""What one client is sent, and how fast."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import redis
import structlog

from trafficmon.core import tracing
from trafficmon.core.clock import utc_now
from trafficmon.live.flow import Flow
from trafficmon.live.mailbox import Mailbox
from trafficmon.live.messages import Outgoing
from trafficmon.live.reader import Form, FrameReader

log = structlog.get_logger()

Post = Callable[[str | bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FrameLetter:
    """The camera's newest frame, to be read when its turn comes; `anew` where nothing of it was sent before."""

    camera_id: int
    frame_key: str
    anew: bool = False
    made_at: datetime = field(default_factory=utc_now)


class ClientFeed:
    """Letters for one client; `watched` are the cameras it may see and wants to."""

    def __init__(self, *, reader: FrameReader, flow: Flow, post: Post) -> None:
        self._reader = reader
        self._flow = flow
        self._post = post
        self._mailbox: Mailbox[FrameLetter | str] = Mailbox()
        self._sent: dict[int, str] = {}
        self.form = Form()
        self.large: frozenset[int] = frozenset()
        self.watched: frozenset[int] = frozenset()
        self._frames_of: frozenset[int] | None = None

    def watch(self, camera_ids: frozenset[int]) -> frozenset[int]:
        """Watch exactly these cameras from now on; those that are new."""
        added = camera_ids - self.watched
        for camera_id in self.watched - camera_ids:
            self._mailbox.drop(("frame", camera_id))
            self._sent.pop(camera_id, None)
        self.watched = camera_ids
        return added

    def show_only(self, camera_ids: frozenset[int] | None) -> frozenset[int]:
        """Send frames of these watched cameras only, or of all with None; those that were not shown before."""
        before = frozenset(filter(self.shows, self.watched))
        self._frames_of = camera_ids
        after = frozenset(filter(self.shows, self.watched))
        for camera_id in before - after:
            self._mailbox.drop(("frame", camera_id))
            self._sent.pop(camera_id, None)
        return after - before

    def show_as(self, form: Form, *, large: frozenset[int] = frozenset()) -> frozenset[int]:
        """Send frames in this form, of `large` cameras as they were captured; those shown that it changes."""
        before = {camera_id: self._form_of(camera_id) for camera_id in filter(self.shows, self.watched)}
        self.form, self.large = form, large
        return frozenset(camera_id for camera_id, had in before.items() if had != self._form_of(camera_id))

    def _form_of(self, camera_id: int) -> Form:
        return Form(self.form.pictures) if camera_id in self.large else self.form

    def tell(self, message: Outgoing, *, outdates: str | None = None) -> None:
        """Add a message that must arrive, and leave out what waits under `outdates`; raises TooSlowError."""
        self._mailbox.append(message.as_text(), outdates=outdates)

    def tell_text(self, text: str, replaces: str | None = None, *, outdates: str | None = None) -> None:
        """Add a finished message; with `replaces` it takes the place of an earlier one. Raises TooSlowError."""
        if replaces is None:
            self._mailbox.append(text, outdates=outdates)
        else:
            self._mailbox.replace(replaces, text)

    def take_back(self, replaces: str) -> bool:
        """Leave out the message told with `replaces` if it still waits; whether it did."""
        return self._mailbox.drop(replaces)

    def show(self, camera_id: int, frame_key: str) -> None:
        """A newer frame of the camera exists."""
        if self.shows(camera_id):
            self._mailbox.replace(("frame", camera_id), FrameLetter(camera_id, frame_key))

    def shows(self, camera_id: int) -> bool:
        """Whether frames of the camera, and what is judged of them, are wanted."""
        return camera_id in self.watched and (self._frames_of is None or camera_id in self._frames_of)

    def show_anew(self, camera_ids: frozenset[int]) -> None:
        """Send what is known of these cameras already, for a page that shows nothing of them yet."""
        for camera_id in filter(self.shows, camera_ids):
            self._sent.pop(camera_id, None)
            self._mailbox.replace(("frame", camera_id), FrameLetter(camera_id, "", anew=True))

    async def send_forever(self) -> None:
        """Send one letter after the other, as fast as the client takes them."""
        while True:
            await self._flow.ready()
            letter = await self._mailbox.take()
            if isinstance(letter, str):
                await self._post(letter)
            else:
                await self._send_frame(letter)

    async def _send_frame(self, letter: FrameLetter) -> None:
        if not self.shows(letter.camera_id):
            return
        form = self._form_of(letter.camera_id)
        turn_at = utc_now()
        try:
            if letter.anew:
                rendered = await self._reader.render(letter.camera_id, form)
            else:
                rendered = await self._reader.rendered(letter.camera_id, form, letter.frame_key)
        except redis.RedisError as error:
            log.warning("live.frame_not_read", camera_id=letter.camera_id, error=str(error))
            return
        # Where another form is wanted meanwhile, the frame comes anew in that.
        wanted = self.shows(letter.camera_id) and form == self._form_of(letter.camera_id)
        if rendered and wanted and self._sent.get(letter.camera_id) != rendered.frame_key:
            self._sent[letter.camera_id] = rendered.frame_key
            with tracing.span("feed.send", parent=rendered.traceparent, camera_id=letter.camera_id):
                await self._post(rendered.message)
            if letter.frame_key == rendered.frame_key:
                # For its turn a letter waits until the client has taken what was before it: that is the client's time.
                sent_at = letter.made_at + (utc_now() - turn_at)
                self._reader.note_sent(letter.camera_id, rendered.captured_at, sent_at)
