"""One browser's WebSocket: who it is, what it may see, what it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

import redis
import structlog
from autobahn.exception import Disconnected
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.utils import translation
from django.utils.translation import gettext as _

from trafficmon.accounts.access import client_address
from trafficmon.core import tracing
from trafficmon.core.clock import spell, utc_now
from trafficmon.live import compose
from trafficmon.live.access import Access, Entry, look_up_access, look_up_ended, look_up_standing
from trafficmon.live.commands import Command, RefusedError, carry_out
from trafficmon.live.feed import ClientFeed
from trafficmon.live.flow import flow_of
from trafficmon.live.incoming import (
    Drawn,
    DrawnReport,
    Ping,
    PongAnswer,
    Subscribe,
    SubscribeRequest,
    UnreadableMessageError,
    asked,
    read_first_wish,
    read_incoming,
)
from trafficmon.live.language import language_of
from trafficmon.live.mailbox import TooSlowError
from trafficmon.live.messages import CameraStatus, ConnectionAck, ErrorMessage, Heartbeat, Pong
from trafficmon.live.reader import Form, shared_reader, width_for
from trafficmon.live.topics import (
    EVERYBODY,
    FrameReady,
    LoadReady,
    MessageReady,
    alert_key,
    camera_topic,
    status_key,
)

log = structlog.get_logger()

# Close codes from 4000 are an application's own; daphne sends no others but 1000.
SIGNED_OUT = 4401
TOO_SLOW = 4408
FAILED = 4500
TRY_AGAIN_LATER = 4503
_CODE_NAMES = {SIGNED_OUT: "signed_out", TOO_SLOW: "too_slow", FAILED: "failed", TRY_AGAIN_LATER: "try_again_later"}

LOOK_AGAIN_SECONDS = 30.0
"""How long a person who lost a right may keep what the socket shows, at most."""
COMMANDS_AT_ONCE = 4
CANCEL_AGAIN_SECONDS = 0.2


def _form(wanted: SubscribeRequest) -> Form:
    return Form(wanted.pictures, width_for(wanted.picture_width))


def _address_of(scope: Mapping[str, Any]) -> str | None:
    headers = dict(scope["headers"])
    peer, _port = scope.get("client") or ("", 0)
    return client_address(peer or "", headers.get(b"x-forwarded-for", b"").decode("latin1"))


def _note_drawn(report: DrawnReport) -> None:
    """The last step of a frame's trace, as the page saw it."""
    now = tracing.now()
    received, drawn = (now - round(ago * 1e6) for ago in (report.received_ago_ms, report.drawn_ago_ms))
    tracing.past("browser.draw", since=min(received, drawn), until=drawn, parent=report.traceparent)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """End the tasks. Cancelled anew until they have ended: a library may swallow a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _ended, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)


class LiveConsumer(AsyncWebsocketConsumer):
    """Refuses the anonymous, sends what the user may see, and ends with the session or the API token."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            with translation.override(language_of(scope)):
                await super().__call__(scope, receive, send)
        except redis.RedisError as error:
            # Before the socket was accepted: there is no channel to listen to.
            log.warning("live.redis_unavailable", error=str(error))
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})

    async def dispatch(self, message: Any) -> None:
        await self._supervise(super().dispatch(message))
        if message["type"] == "websocket.disconnect":
            # Whatever failed while leaving: nobody is there any more, and no further message would end this.
            raise StopConsumer

    async def connect(self) -> None:
        # Accepted first: a browser can read why it was refused only from an open socket.
        await self.accept()
        self._open = AsyncExitStack()
        self._ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._access = Access()
        self._wanted, unreadable = read_first_wish(self.scope["query_string"])
        self._reader = await self._open.enter_async_context(shared_reader())
        ticket = asked(self.scope["query_string"], "ticket")
        self._entry = await self._find_entry(ticket)
        access = await self._look_up_access()
        if access is None:
            too_late = _("This ticket was used or is too old: get another with your API token.")
            await self._end(SIGNED_OUT, too_late if ticket else _("Sign in first."))
            return
        self._feed = ClientFeed(reader=self._reader, flow=flow_of(self.scope), post=self._post)
        self._feed.show_as(_form(self._wanted))
        self._feed.tell(self._acknowledgement())
        if unreadable:
            self._refuse("unreadable", unreadable)
        self._heard = 0
        self._statuses: dict[int, CameraStatus] = {}
        self._redis_run = await self._reader.run_id()
        await self.channel_layer.group_add(EVERYBODY, self.channel_name)
        await self._tell_load()
        await self._apply_access(access)
        await self._tell_missed()
        await self._tell_standing()
        self._start(self._feed.send_forever())
        self._start(self._look_again_forever())

    async def _find_entry(self, ticket: str) -> Entry:
        """A ticket, where there is one, and nothing else; or the session."""
        address = _address_of(self.scope)
        if ticket:
            return Entry(token_id=await self._reader.take_ticket(ticket), address=address)
        return Entry(session_key=self.scope["session"].session_key, address=address)

    def _acknowledgement(self) -> ConnectionAck:
        return ConnectionAck(
            message=_("Connected."),
            server_time=spell(utc_now()),
            heartbeat_seconds=settings.ENVIRONMENT.ws_heartbeat_seconds,
        )

    async def disconnect(self, code: int) -> None:
        log.debug("live.disconnected", code=code, user_id=self._access.user_id)
        self._ending = True
        await _cancel(self._tasks)
        try:
            for topic in (EVERYBODY, *map(camera_topic, self._access.cameras)):
                await self.channel_layer.group_discard(topic, self.channel_name)
        except redis.RedisError as error:
            log.warning("live.topics_not_left", error=str(error))
        finally:
            await self._open.aclose()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002  # Channels' signature; bytes are no message of ours
        if not self._access.user_id:
            return
        try:
            request = read_incoming(text_data or "")
        except UnreadableMessageError as error:
            self._refuse("unreadable", str(error))
            return
        match request:
            case Ping():
                self._feed.tell_text(Pong(server_time=spell(utc_now()), echo=request.data.echo).as_text(), "pong")
            case PongAnswer():
                pass
            case Drawn():
                _note_drawn(request.data)
            case Subscribe():
                await self._subscribe(request.data)
            case _:
                self._command(request)

    def _command(self, command: Command) -> None:
        if len(self._tasks) >= COMMANDS_AT_ONCE + 2:
            self._refuse("busy", _("Wait until your earlier requests are answered."), command)
            return
        self._start(self._carry_out(command))

    async def _carry_out(self, command: Command) -> None:
        access = await self._look_up_access()
        if access is None:
            await self._end(SIGNED_OUT, _("Your session has ended. Sign in again."))
            return
        try:
            answer = await carry_out(command, access, self._reader)
            # A test of a connection says nothing of the state.
            self._feed.tell(answer, outdates=status_key(answer.camera_id) if answer.state else None)
        except RefusedError as refusal:
            self._refuse(refusal.code, str(refusal), command)

    def _refuse(self, code: str, message: str, command: Command | None = None) -> None:
        camera_id = command.data.camera_id if command else None
        request = command.type if command else None
        self._feed.tell(ErrorMessage(code=code, message=message, request=request, camera_id=camera_id))

    async def _subscribe(self, wanted: SubscribeRequest) -> None:
        hidden = set(wanted.camera_ids or ()) - set(self._access.cameras)
        if hidden:
            listed = ", ".join(str(each) for each in sorted(hidden))
            self._refuse("unknown_camera", _("These cameras do not exist or you may not see them: %s.") % listed)
        changed = wanted.pictures != self._feed.form.pictures
        self._wanted = wanted
        shown = self._feed.show_as(_form(wanted), large=frozenset(wanted.large_of))
        shown |= self._feed.show_only(None if wanted.frames_of is None else frozenset(wanted.frames_of))
        await self._watch(anew=changed)
        self._feed.show_anew(shown)
        await self._tell_missed()

    async def _look_up_access(self) -> Access | None:
        return await database_sync_to_async(look_up_access)(self._entry)

    async def _apply_access(self, access: Access) -> None:
        """Listen to the cameras that `access` allows and to no others; tell the client when they changed."""
        before, self._access = self._access, access
        for camera_id in access.cameras.keys() - before.cameras.keys():
            await self.channel_layer.group_add(camera_topic(camera_id), self.channel_name)
        for camera_id in before.cameras.keys() - access.cameras.keys():
            await self.channel_layer.group_discard(camera_topic(camera_id), self.channel_name)
        if access.cameras != before.cameras or not before.user_id:
            self._feed.tell(access.listed())
        await self._watch()

    async def _watch(self, *, anew: bool = False) -> None:
        """Watch what is both wanted and allowed, and send what is known of the cameras that are new."""
        allowed = frozenset(self._access.cameras)
        wanted = allowed if self._wanted.camera_ids is None else allowed & frozenset(self._wanted.camera_ids)
        added = self._feed.watch(wanted)
        unknown = wanted if anew else added
        for camera_id in unknown:
            self._statuses.pop(camera_id, None)
        if unknown:
            standing = await database_sync_to_async(look_up_standing)(unknown)
            self._tell_statuses(standing.statuses)
            for alert in standing.alerts.alerts:
                self._feed.tell_text(alert.as_text(), alert_key(alert.alert_id))
        self._feed.show_anew(unknown)

    async def frame_ready(self, event: FrameReady) -> None:
        self._feed.show(event["camera_id"], event["frame_key"])

    async def message_ready(self, event: MessageReady) -> None:
        if self._ending or event["camera_id"] not in self._feed.watched:
            return
        taken_back = False
        match event.get("about"):
            case "verdict" if not self._feed.shows(event["camera_id"]):
                return
            case "alert":
                self._heard += 1
                taken_back = self._feed.take_back("alert_list")
            case "status":
                self._heard += 1
                # So the next look tells where it stands: it may be back where it was, and that may be lost.
                self._statuses.pop(event["camera_id"], None)
        text = event.get("texts", {}).get(translation.get_language() or "", event["text"])
        self._feed.tell_text(text, event.get("replaces"), outdates=event.get("outdates"))
        if taken_back:
            await self._tell_standing()

    async def load_ready(self, event: LoadReady) -> None:
        if not self._ending:
            self._feed.tell_text(event["text"], "load")

    async def _tell_load(self) -> None:
        """Before anything is published, and again in case that was lost, or nobody is left to publish."""
        self._feed.tell_text(compose.load_message(*await self._reader.load()).as_text(), "load")

    async def _look_again_forever(self) -> None:
        """The heartbeat: each time, whether the session still holds and which cameras it may see."""
        pause = min(settings.ENVIRONMENT.ws_heartbeat_seconds, LOOK_AGAIN_SECONDS)
        while True:
            await asyncio.sleep(pause)
            access = await self._look_up_access()
            if access is None:
                await self._end(SIGNED_OUT, _("Your session has ended. Sign in again."))
                return
            await self._apply_access(access)
            await self._catch_up()
            await self._tell_standing()
            await self._tell_load()
            self._feed.tell_text(Heartbeat(server_time=spell(utc_now())).as_text(), "ping")

    async def _catch_up(self) -> None:
        """Redis forgets what it published while it was away: after a restart of it, everything is sent anew."""
        run = await self._reader.run_id()
        if run != self._redis_run:
            self._redis_run = run
            await self._watch(anew=True)

    async def _tell_standing(self) -> None:
        """What a lost publication left out, and an end of what nobody will end: published messages may be lost."""
        for _attempt in range(3):
            heard = self._heard
            standing = await database_sync_to_async(look_up_standing)(self._feed.watched)
            # What was told meanwhile may be newer than this, which would take it back.
            if heard == self._heard:
                self._tell_statuses(standing.statuses)
                self._feed.tell_text(standing.alerts.as_text(), "alert_list")
                return

    def _tell_statuses(self, statuses: tuple[CameraStatus, ...]) -> None:
        """Those that are not as they were when they were last looked up."""
        for status in statuses:
            if status != self._statuses.get(status.camera_id):
                self._statuses[status.camera_id] = status
                self._feed.tell_text(status.as_text(), status_key(status.camera_id))

    async def _tell_missed(self) -> None:
        """What ended while the client was away; what goes on is told to everybody who comes."""
        if self._wanted.since:
            for alert in await database_sync_to_async(look_up_ended)(self._feed.watched, self._wanted.since):
                self._feed.tell(alert, outdates=alert_key(alert.alert_id))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(self._supervise(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervise(self, work: Any) -> None:
        """The outermost frame of all that is done here: a failure ends the connection, and the client comes back."""
        try:
            await work
        except StopConsumer:
            raise
        except TooSlowError:
            await self._end(TOO_SLOW, _("This connection is too slow: reconnect and subscribe to fewer cameras."))
        except (DatabaseError, redis.RedisError) as error:
            log.warning("live.store_unavailable", error=str(error))
            await self._end(TRY_AGAIN_LATER, _("The service is busy; reconnect in a moment."))
        except Exception:
            log.exception("live.failed", user_id=self._access.user_id)
            await self._end(FAILED, _("The service failed; reconnect in a moment."))

    async def _post(self, message: str | bytes) -> None:
        """Send it; a client that has just left is no failure, and its disconnect is on the way."""
        with suppress(Disconnected):
            if isinstance(message, str):
                await self.send(text_data=message)
            else:
                await self.send(bytes_data=message)

    async def _end(self, code: int, reason: str) -> None:
        """Say why, past everything that waits, and close; once."""
        if self._ending:
            return
        self._ending = True
        await self._post(ErrorMessage(code=_CODE_NAMES[code], message=reason).as_text())
        with suppress(Disconnected):
            await self.close(code)
