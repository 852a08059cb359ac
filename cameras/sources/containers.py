"""Streams that FFmpeg reads: cameras over RTSP and HTTP, and video files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from django.utils.translation import gettext as _

from cameras.addresses import AllowedSource, SourceKind
from cameras.sampling import Burst, Sampler, prepare_decoder
from cameras.sources.errors import UnableToOpen, UnableToRead, explain
from cameras.sources.streams import Format, Terms
from trafficmon.core.clock import utc_now

# Formats that refer to further addresses (playlists, concat scripts) are left out: those would escape the check.
_FORMATS = "mov,matroska,mpegts,mpeg,flv,avi,mpjpeg,mjpeg,jpeg_pipe,h264,hevc,asf,ogg,ivf,m4v"
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,tcp",
    "rtsps": "rtsp,rtp,tls,tcp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "file": "file",
}
_BROKEN_READS = 50
"""So many failures in a row to take a stream's data apart mean that it will not get better."""
_SHORTEST_PASS_SECONDS = 1.0


def open_container(source: AllowedSource, terms: Terms) -> InputContainer:
    """Open a checked source; raises UnableToOpen."""
    scheme = source.url.partition("://")[0] if source.kind is not SourceKind.FILE else "file"
    options = {"protocol_whitelist": _PROTOCOLS[scheme], "analyzeduration": "2000000"}
    # After a timeout FFmpeg first hands out what it still holds, and only the next one ends the stream.
    microseconds = str(round(terms.read_seconds / 2 * 1_000_000))
    forced = None
    if source.kind is SourceKind.RTSP:
        forced = "rtsp"
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video", "timeout": microseconds}
    else:
        options["format_whitelist"] = _FORMATS
    if source.kind is SourceKind.HTTP:
        options |= {"rw_timeout": microseconds, "max_redirects": "0", "headers": f"Host: {source.host}\r\n"}
    began = time.monotonic()
    try:
        return av.open(
            source.url, "r", format=forced, options=options, timeout=(terms.open_seconds, terms.read_seconds)
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        # Over RTSP a silence is reported as data that makes no sense: only the clock tells.
        silent = time.monotonic() - began > 0.9 * min(terms.open_seconds, terms.read_seconds / 2)
        raise UnableToOpen(explain(TimeoutError() if silent else error)) from None


class Pace:
    """Holds the packets of a recording back so that they come as they were recorded."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._began: float | None = None
        self._position = 0.0

    def wait(self, packet: av.Packet[av.VideoStream]) -> bool:
        """Wait until `packet` is due; whether to go on."""
        if packet.dts is not None:
            self._position = float(packet.dts * packet.time_base)
        if self._began is None:
            self._began = time.monotonic() - self._position
        ahead = self._began + self._position - time.monotonic()
        if ahead < -1:
            self._began -= ahead
        return not self._stop.wait(max(ahead, 0))


class ContainerStream:
    """A stream of packets, sampled; a recording is played in real time and starts over at its end."""

    def __init__(self, source: AllowedSource, terms: Terms) -> None:
        self._open: Callable[[], InputContainer] = lambda: open_container(source, terms)
        self._terms = terms
        self.sampler = Sampler(interval_seconds=terms.interval_seconds, sampling=terms.sampling)
        self._container = self._open()
        self._video = self._start()
        self._recorded = source.kind is not SourceKind.RTSP and bool(self._container.duration)
        rate = self._video.average_rate or self._video.guessed_rate
        self.format = Format(self._video.codec_context.name, float(rate or 0))

    def _start(self) -> av.VideoStream:
        if not self._container.streams.video:
            self._container.close()
            raise UnableToOpen(_("There is no video at this address."))
        video = self._container.streams.video[0]
        prepare_decoder(video)
        return video

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        while not stop.is_set():
            began = time.monotonic()
            yield from self._one_pass(stop)
            if stop.wait(max(0, began + _SHORTEST_PASS_SECONDS - time.monotonic())):
                return
            if not self._recorded:
                raise UnableToRead(_("The camera ended the stream."))
            self._start_over()

    def _one_pass(self, stop: threading.Event) -> Iterator[Burst]:
        pace = Pace(stop)
        for packet in self.packets():
            if stop.is_set() or (self._recorded and not pace.wait(packet)):
                return
            burst = self.sampler.push(packet, arrived_at=utc_now(), seconds=time.monotonic())
            if burst:
                yield burst

    def packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """The video's packets up to its end; data that cannot be taken apart is counted and left behind."""
        broken = 0
        while True:
            try:
                for packet in self._heard_packets():
                    broken = 0
                    yield packet
            except av.InvalidDataError as error:
                broken += 1
                self.sampler.corrupt_count += 1
                if broken >= _BROKEN_READS:
                    raise UnableToRead(explain(error)) from None
            except (av.FFmpegError, OSError) as error:
                raise UnableToRead(_silence(error)) from None
            else:
                return

    def _heard_packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """All streams are read, so that sound that goes on cannot hide a picture that stands still."""
        heard = time.monotonic()
        for packet in self._container.demux():
            if packet.stream_index == self._video.index and packet.size:
                yield cast("av.Packet[av.VideoStream]", packet)
                heard = time.monotonic()
            elif time.monotonic() - heard > self._terms.read_seconds:
                raise UnableToRead(_("The camera sends no pictures."))

    def _start_over(self) -> None:
        self._container.close()
        try:
            self._container = self._open()
            self._video = self._start()
        except UnableToOpen as error:
            raise UnableToRead(str(error)) from None
        self.sampler.restart()

    def hold(self, seconds: float) -> None:
        self.sampler.schedule.hold(time.monotonic() + seconds)

    def corrupt_count(self) -> int:
        return self.sampler.corrupt_count

    def close(self) -> None:
        self._container.close()


def _silence(error: BaseException) -> str:
    if isinstance(error, TimeoutError | av.ExitError):
        return _("The camera sends no pictures.")
    return explain(error)


def read_recording(path: Path, terms: Terms) -> Iterator[tuple[float, Burst]]:
    """The samples of a video file as fast as they can be read, each with its position in seconds.

    `captured_at` counts from the beginning of the reading. The path is not checked: it is for a person's own files.
    Raises UnableToOpen and UnableToRead.
    """
    stream = ContainerStream(AllowedSource(SourceKind.FILE, str(path.resolve())), terms)
    began_at, read, shown = utc_now(), 0.0, 0.0
    with closing(stream):
        for packet in stream.packets():
            # Sampled in the order of reading, as a camera is, but dated by when it is shown, which is another order.
            read = read if packet.dts is None else float(packet.dts * packet.time_base)
            shown = read if packet.pts is None else float(packet.pts * packet.time_base)
            burst = stream.sampler.push(packet, arrived_at=began_at + timedelta(seconds=shown), seconds=read)
            if burst:
                yield (burst.captured_at - began_at).total_seconds(), burst
