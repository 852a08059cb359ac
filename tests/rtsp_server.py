"""A real RTSP server for the tests, run by the system's own Python: GStreamer's bindings come with the system.

Usage: /usr/bin/python3 tests/rtsp_server.py [--port N] [--password P] [--cameras N] [CLIP ...]
       /usr/bin/python3 tests/rtsp_server.py [--port N] [--password P] [--key-every N] [--width W] [--height H]

With clips (H.264, H.265 or JPEG, in any container) it serves the first at rtsp://127.0.0.1:PORT/live and all of them
by turns at /cam1 to /camN, each in a loop that goes on by the clock and without encoding anything; cameras of the same
clip are at different places of it. Without clips /live is a moving ball in H.264 at 25 pictures a second, whose encoder
begins with a key frame whenever someone connects. With a password the user of /live is "operator".

It prints its port once it listens, then obeys the lines of its standard input, answers each with "done", and ends when
that is closed, so that no server is left behind:

    drop          break all connections
    freeze, thaw  send no more pictures, while connections stay open, RTSP is answered and RTCP goes on; send them again
    clip PATH     show another clip, also to those connected where it is of the same codec
    rubbish       send RTP packets that are well formed and of which nobody can make a picture, until the next clip
    noise         write bytes into all connections that are neither RTSP nor RTP
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]  # the system's, not ours

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found]  # noqa: E402  # the versions are chosen first
    GLib,
    Gst,
    GstApp,  # noqa: F401  # gives appsrc and appsink their methods
    GstRtspServer,
)

LEAD_NS = 400_000_000
"""Pictures are handed on so long before their time, which the pipeline then waits for: that costs less than to wake it
for each."""
TICK_MS = 100
_DELIMITER = b"\0\0\0\1\x09\xf0"
"""Put before each H.264 picture by the parser: it would be a packet of its own, for which nothing is the better."""
_RUBBISH_BYTES = (40, 1200)
_NOISE_BYTES = 1000


@dataclass(frozen=True)
class Codec:
    """How a codec's pictures are told apart and put into RTP.

    The parser repeats the parameter sets; a payloader would do so before each slice of a key frame.
    """

    parser: str
    caps: str
    payloader: str


_WHOLE_PICTURES = "stream-format=byte-stream,alignment=au"
CODECS = {
    "video/x-h264": Codec("h264parse config-interval=-1", f"video/x-h264,{_WHOLE_PICTURES}", "rtph264pay"),
    "video/x-h265": Codec("h265parse config-interval=-1", f"video/x-h265,{_WHOLE_PICTURES}", "rtph265pay"),
    "image/jpeg": Codec("jpegparse", "image/jpeg", "rtpjpegpay"),
}


@dataclass(frozen=True)
class Unit:
    """One coded picture; `shown_ns` counts from the clip's beginning and need not rise where there are B-frames."""

    coded: Any
    shown_ns: int
    is_key: bool


@dataclass(frozen=True)
class Clip:
    """The coded pictures of a file in the order of decoding, all as long."""

    kind: str
    caps: Any
    units: tuple[Unit, ...]
    period_ns: int

    @property
    def codec(self) -> Codec:
        return CODECS[self.kind]

    def key_before(self, seconds: float) -> int:
        """The number of the last key frame up to here, where the clip has begun over and over."""
        number = int(seconds * 1e9 / self.period_ns) % len(self.units)
        while not self.units[number].is_key:
            number -= 1
        return number


class NothingToServe(Exception):
    """There is no video in this file that can be served."""


def read_clip(path: Path) -> Clip:
    """Take the file apart; raises NothingToServe."""
    pipeline = Gst.parse_launch(f'filesrc location="{path}" ! parsebin name=parted')
    kinds: list[str] = []
    sinks: list[Any] = []

    def take(_parted: Any, pad: Any) -> None:
        kind = (pad.get_current_caps() or pad.query_caps(None)).get_structure(0).get_name()
        if kind not in CODECS or kinds:
            return
        kinds.append(kind)
        codec = CODECS[kind]
        taken = Gst.parse_bin_from_description(
            f"{codec.parser} ! {codec.caps} ! appsink name=sink sync=false", ghost_unlinked_pads=True
        )
        pipeline.add(taken)
        sinks.append(taken.get_by_name("sink"))
        pad.link(taken.get_static_pad("sink"))
        taken.sync_state_with_parent()

    pipeline.get_by_name("parted").connect("pad-added", take)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        pipeline.get_bus().timed_pop_filtered(
            10 * Gst.SECOND, Gst.MessageType.ASYNC_DONE | Gst.MessageType.ERROR | Gst.MessageType.EOS
        )
        samples = list(iter(sinks[0].pull_sample, None)) if sinks else []
    finally:
        pipeline.set_state(Gst.State.NULL)
    if len(samples) < 2:
        raise NothingToServe(path)
    return _clip(kinds[0], samples)


def _clip(kind: str, samples: list[Any]) -> Clip:
    buffers = [sample.get_buffer() for sample in samples]
    shown = [buffer.pts for buffer in buffers]
    units = tuple(
        Unit(
            GLib.Bytes(buffer.extract_dup(0, buffer.get_size()).removeprefix(_DELIMITER)),
            buffer.pts - min(shown),
            not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT),
        )
        for buffer in buffers
    )
    return Clip(kind, samples[-1].get_caps(), units, (max(shown) - min(shown)) // (len(shown) - 1))


@dataclass
class Mount:
    """A path of the server and the clip it shows."""

    factory: Any
    clip: Clip
    phase: float
    """How far ahead it is of others that show the clip, as a share of it."""
    sends_rubbish: bool = False

    def position(self) -> float:
        """Seconds that it has gone on."""
        return time.monotonic() + self.phase * len(self.clip.units) * self.clip.period_ns / 1e9

    def show(self, clip: Clip) -> None:
        self.clip, self.sends_rubbish = clip, False
        self.factory.set_launch(
            f"( appsrc name=source is-live=true format=time ! {clip.codec.payloader} name=pay0 pt=96 )"
        )


@dataclass
class Player:
    """Hands the pictures of a mount's clip to one pipeline, a little before the time of each."""

    mount: Mount
    source: Any
    clip: Clip = field(init=False)
    began_ns: int = field(default_factory=time.monotonic_ns)
    number: int = field(init=False)
    pushed_ns: int = 0
    """The time of the next picture, counted from when the pipeline began."""

    def __post_init__(self) -> None:
        self._take(self.mount.clip, self.mount.clip.key_before(self.mount.position()))

    def _take(self, clip: Clip, number: int) -> None:
        self.clip, self.number = clip, number
        self.source.set_caps(clip.caps)

    def push_due(self, now_ns: int) -> None:
        due_ns = now_ns + LEAD_NS
        while self.began_ns + self.pushed_ns <= due_ns:
            if self.clip is not self.mount.clip and self.clip.kind == self.mount.clip.kind:
                self._take(self.mount.clip, 0)
            self._push(self.clip.units[self.number])
            self.number = (self.number + 1) % len(self.clip.units)
            self.pushed_ns += self.clip.period_ns

    def _push(self, unit: Unit) -> None:
        coded = GLib.Bytes(_rubbish(unit.coded.get_size())) if self.mount.sends_rubbish else unit.coded
        buffer = Gst.Buffer.new_wrapped_bytes(coded)
        buffer.dts = self.pushed_ns
        buffer.pts = self.pushed_ns + unit.shown_ns - self.number * self.clip.period_ns
        self.source.push_buffer(buffer)


def _rubbish(size: int) -> bytes:
    """About `size` bytes that look like coded pictures only in that they can be put into packets."""
    parts = []
    while size > 0:
        part = random.randbytes(random.randint(*_RUBBISH_BYTES)).replace(b"\0\0", b"\0\xff")
        parts.append(b"\0\0\0\1" + part)
        size -= len(part)
    return b"".join(parts)


class Server:
    """The RTSP server and whatever it shows."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._players: list[Player] = []
        self._media: list[Any] = []
        self._frozen: list[tuple[Any, int]] = []
        self._is_frozen = False
        self._mounts: list[Mount] = []
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address("127.0.0.1")
        self._server.set_service(str(arguments.port))
        clips = [read_clip(path) for path in arguments.clips]
        self._mount("/live", _ball(arguments), clips[0] if clips else None, 0.0)
        for number in range(arguments.cameras):
            clip = clips[number % len(clips)]
            self._mount(f"/cam{number + 1}", GstRtspServer.RTSPMediaFactory(), clip, number / arguments.cameras)
        if arguments.password:
            self._require_password(arguments.password)
        self._server.attach(None)
        self.port = self._server.get_bound_port()
        GLib.timeout_add(TICK_MS, self._tick)

    def _mount(self, path: str, factory: Any, clip: Clip | None, phase: float) -> None:
        mount = Mount(factory, clip, phase) if clip else None
        if mount:
            mount.show(mount.clip)
            self._mounts.append(mount)
        factory.set_shared(True)
        factory.connect("media-configure", lambda _factory, media: self._begin(media, mount))
        self._server.get_mount_points().add_factory(path, factory)

    def _begin(self, media: Any, mount: Mount | None) -> None:
        player = Player(mount, media.get_element().get_by_name("source")) if mount else None

        def end(_media: Any) -> None:
            self._media.remove(media)
            if player:
                self._players.remove(player)

        self._media.append(media)
        if player:
            self._players.append(player)
        media.connect("prepared", self._keep_frozen)
        media.connect("unprepared", end)

    def _tick(self) -> bool:
        now_ns = time.monotonic_ns()
        for player in list(self._players):
            player.push_due(now_ns)
        return True

    def _require_password(self, password: str) -> None:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "operator")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("operator", password), token)
        self._server.set_auth(auth)
        role = GstRtspServer.RTSPPermissions()
        role.add_permission_for_role("operator", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)  # noqa: FBT003  # GStreamer takes it so
        role.add_permission_for_role("operator", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)  # noqa: FBT003
        self._server.get_mount_points().match("/live")[0].set_permissions(role)

    def obey(self, line: str) -> None:
        """Carry out one line of the standard input."""
        command, _space, argument = line.strip().partition(" ")
        commands: dict[str, Callable[[], object]] = {
            "drop": self._drop,
            "freeze": self._freeze_all,
            "thaw": self._thaw,
            "clip": lambda: self._show(Path(argument)),
            "rubbish": self._send_rubbish,
            "noise": self._send_noise,
        }
        commands[command]()

    def _drop(self) -> None:
        self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)

    def _freeze_all(self) -> None:
        self._is_frozen = True
        for media in list(self._media):
            self._freeze(media)

    def _keep_frozen(self, media: Any) -> None:
        if self._is_frozen:
            self._freeze(media)

    def _freeze(self, media: Any) -> None:
        """Drop what leaves the RTP session: before it, a stream could not even be described."""
        pipeline = media.get_element().get_parent()
        [session] = [child for child in pipeline.children if child.get_factory().get_name() == "rtpbin"]
        pad = session.get_static_pad("send_rtp_src_0")
        kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        self._frozen.append((pad, pad.add_probe(kinds, lambda *_: Gst.PadProbeReturn.DROP)))

    def _thaw(self) -> None:
        self._is_frozen = False
        for pad, probe in self._frozen:
            pad.remove_probe(probe)
        self._frozen.clear()

    def _show(self, path: Path) -> None:
        clip = read_clip(path)
        for mount in self._mounts:
            mount.show(clip)

    def _send_rubbish(self) -> None:
        for mount in self._mounts:
            mount.sends_rubbish = True

    def _send_noise(self) -> None:
        def write(_server: Any, client: Any) -> Any:
            # It begins like a packet that swallows what follows.
            noise = b"$\0\x7f\xff" + random.Random(_NOISE_BYTES).randbytes(_NOISE_BYTES)
            os.write(client.get_connection().get_write_socket().get_fd(), noise)
            return GstRtspServer.RTSPFilterResult.KEEP

        self._server.client_filter(write)


def _ball(arguments: argparse.Namespace) -> Any:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball"
        f" ! video/x-raw,width={arguments.width},height={arguments.height},framerate=25/1"
        " ! x264enc tune=zerolatency sliced-threads=false speed-preset=ultrafast bitrate=500"
        f" key-int-max={arguments.key_every}"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    return factory


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--password", default="")
    parser.add_argument("--cameras", type=int, default=0)
    parser.add_argument("--key-every", type=int, default=25)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    Gst.init(None)
    server = Server(arguments)
    loop = GLib.MainLoop()

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def hear(*_: object) -> bool:
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        server.obey(line)
        say("done")
        return True

    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_HUP | GLib.IO_IN, hear)
    say(str(server.port))
    loop.run()


if __name__ == "__main__":
    main()
