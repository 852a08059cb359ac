"""Streams that FFmpeg reads: cameras over RTSP and HTTP, and video files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from django.utils.translation import gettext as _

from cameras.addresses import AllowedSource, SourceKind
from cameras.models import Sampling
from cameras.sampling import MOST_PIXELS, Arrival, Burst, Sampler, prepare_decoder
from cameras.sources.devices import decoding_device
from cameras.sources.errors import UnableToOpen, UnableToRead, explain
from cameras.sources.relay import Relay
from cameras.sources.stream_clock import StreamClock
from cameras.sources.streams import Figures, Format, Terms
from cameras.sources.watchdog import WATCHDOG, Watched
from trafficmon.core.clock import utc_now

# Formats that refer to further addresses (playlists, concat scripts) are left out: those would escape the check.
_FORMATS = "mov,matroska,mpegts,mpeg,flv,avi,mpjpeg,mjpeg,jpeg_pipe,h264,hevc,asf,ogg,ivf,m4v"
_PROTOCOLS = {SourceKind.RTSP: "rtsp,rtp,tcp", SourceKind.HTTP: "http,tcp", SourceKind.FILE: "file"}
"""None with TLS, which is the relay's."""
_PROBING: Any = [{"max_pixels": str(MOST_PIXELS)}] * 8
"""For the first streams of a source: FFmpeg decodes some of each to learn what it is. PyAV's stub takes it for text."""
_BROKEN_READS = 50
"""So many failures in a row to take a stream's data apart mean that it will not get better."""
_SHORTEST_PASS_SECONDS = 1.0
_PATIENCE_WITHOUT_PICTURE = 3
"""So many times the silence that is borne, data may come of which there is no picture: a key frame may be a while."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open container, and the relay it is read through, if any."""

    container: InputContainer
    relay: Relay | None = None

    def close(self) -> None:
        self.container.close()
        if self.relay:
            self.relay.close()


def open_container(source: AllowedSource, terms: Terms) -> Opened:
    """Open a checked source; raises UnableToOpen."""
    relay = None
    try:
        relay = _relay_to(source, terms.open_seconds)
        with _breaking(relay, terms.open_seconds):
            return Opened(_open(source, terms, relay), relay)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnableToOpen(_closed(relay) or explain(error)) from None


@contextmanager
def _breaking(relay: Relay | None, patience_seconds: float) -> Iterator[None]:
    """Break the relay when what goes on here takes longer, which then raises TimeoutError.

    FFmpeg takes that for an end: it may open what it has heard so far, or find that it makes no sense.
    """
    watched = WATCHDOG.watch(patience_seconds, relay.close) if relay else None
    try:
        yield
    finally:
        if watched:
            WATCHDOG.forget(watched)
            if watched.is_broken:
                raise TimeoutError


def _relay_to(source: AllowedSource, timeout_seconds: float) -> Relay | None:
    """The relay that an RTSP or a TLS source needs."""
    rtsp = source.kind is SourceKind.RTSP
    if source.endpoint and (rtsp or source.endpoint.tls):
        return Relay(source.endpoint, rtsp=rtsp, timeout_seconds=timeout_seconds)
    return None


def _closed(relay: Relay | None) -> str:
    """Close it; why it refused to go on, if it did."""
    if relay is None:
        return ""
    relay.close()
    return _(relay.refusal) if relay.refusal else ""


def _open(source: AllowedSource, terms: Terms, relay: Relay | None) -> InputContainer:
    options = {"protocol_whitelist": _PROTOCOLS[source.kind], "analyzeduration": "2000000"}
    # After a timeout FFmpeg first hands out what it still holds, and only the next one ends the stream.
    microseconds = str(round(terms.read_seconds / 2 * 1_000_000))
    forced = None
    if source.kind is SourceKind.RTSP:
        forced = "rtsp"
        # The watchdog is sooner, and knows a silence from an end.
        late = str(round(2 * max(terms.open_seconds, terms.read_seconds) * 1_000_000))
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video", "timeout": late}
    else:
        options["format_whitelist"] = _FORMATS
    if source.kind is SourceKind.HTTP:
        # A proxy would be asked for an address that was checked from here.
        options |= {"rw_timeout": microseconds, "max_redirects": "0", "http_proxy": ""}
        options["headers"] = f"Host: {source.host}\r\n"
    url = _through(relay, source) if relay else source.url
    # Over RTSP the watchdog breaks the relay: FFmpeg reads in small pieces there, and PyAV would ask Python at each.
    patience = None if source.kind is SourceKind.RTSP else (terms.open_seconds, terms.read_seconds / 2)
    return av.open(
        url, "r", format=forced, options=options, stream_options=_PROBING, timeout=patience, hwaccel=decoding_device()
    )


def _through(relay: Relay, source: AllowedSource) -> str:
    """The source's address by way of the relay. An RTSP camera is asked by this name, as through a forwarded port."""
    parts = urlsplit(source.url)
    credentials, at, _host = parts.netloc.rpartition("@")
    return parts._replace(scheme=str(source.kind), netloc=f"{credentials}{at}127.0.0.1:{relay.port}").geturl()


class Playback:
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
        self._open: Callable[[], Opened] = lambda: open_container(source, terms)
        self._terms = terms
        self.sampler = Sampler(interval_seconds=terms.interval_seconds, sampling=terms.sampling)
        self._opened = self._open()
        self._video = self._start()
        self._rtsp = source.kind is SourceKind.RTSP
        self._recorded = not self._rtsp and bool(self._opened.container.duration)
        rate = self._video.average_rate or self._video.guessed_rate
        self.format = Format(self._video.codec_context.name, float(rate or 0))

    def _start(self) -> av.VideoStream:
        patience, relay = self._terms.read_seconds, self._opened.relay
        self._watched = WATCHDOG.watch(patience, relay.close) if relay else Watched(patience, lambda: None)
        found = self._opened.container.streams.video
        video = found[0] if found else None
        if video is None or video.codec_context.width * video.codec_context.height > MOST_PIXELS:
            self.close()
            raise UnableToOpen(_too_large() if video else _("There is no video at this address."))
        self._packet_at = time.monotonic()
        self._tick_seconds = float(video.time_base or 1)
        prepare_decoder(video, exact=self._terms.sampling == Sampling.EVERY_FRAME)
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
        playback, clock, began = Playback(stop), StreamClock(), time.monotonic()
        for packet in self.packets():
            if stop.is_set() or (self._recorded and not playback.wait(packet)):
                return
            now = time.monotonic()
            seconds = clock.moment(self._stamp(packet), now)
            late = now - seconds
            burst = self.sample(packet, Arrival(time.time() - late, seconds, late))
            if burst:
                yield burst
            elif seconds - max(began, self.sampler.schedule.due) > _PATIENCE_WITHOUT_PICTURE * self._terms.read_seconds:
                raise UnableToRead(_("No picture can be made of what the camera sends."))

    def sample(self, packet: av.Packet[av.VideoStream], arrival: Arrival) -> Burst | None:
        """As the sampler's `push`; raises UnableToRead where the pictures are too large."""
        corrupt_count = self.sampler.corrupt_count
        burst = self.sampler.push(packet, arrival)
        if self.sampler.corrupt_count > corrupt_count and not self._video.codec_context.width:
            raise UnableToRead(_too_large())
        return burst

    def _stamp(self, packet: av.Packet[av.VideoStream]) -> float | None:
        """The packet's own time in the order of decoding, seconds; None but over RTP, where FFmpeg makes it up."""
        if not self._rtsp:
            return None
        ticks = packet.pts if packet.dts is None else packet.dts
        return None if ticks is None else ticks * self._tick_seconds

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
                raise UnableToRead(self._why(error)) from None
            else:
                # Broken relays and FFmpeg's own timeouts look like an end.
                if self._was_silent():
                    raise UnableToRead(_("The camera sends no pictures."))
                return

    def _was_silent(self) -> bool:
        return self._watched.is_broken or time.monotonic() - self._packet_at > self._terms.read_seconds / 2

    def _why(self, error: BaseException) -> str:
        if self._was_silent() or isinstance(error, TimeoutError | av.ExitError):
            return _("The camera sends no pictures.")
        return explain(error)

    def _heard_packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """All streams are read, so that sound that goes on cannot hide a picture that stands still."""
        self._watched.alive()
        for packet in self._opened.container.demux():
            if packet.stream_index == self._video.index and packet.size:
                self._watched.rest()
                self._packet_at = time.monotonic()
                yield cast("av.Packet[av.VideoStream]", packet)
                self._watched.alive()
            elif self._watched.is_silent():
                raise UnableToRead(_("The camera sends no pictures."))

    def _start_over(self) -> None:
        self.close()
        try:
            self._opened = self._open()
            self._video = self._start()
        except UnableToOpen as error:
            raise UnableToRead(str(error)) from None
        self.sampler.restart()

    def hold(self, seconds: float) -> None:
        self.sampler.schedule.hold(time.monotonic() + seconds)

    def change_interval(self, interval_seconds: float) -> None:
        self.sampler.schedule.change_interval(interval_seconds)

    def figures(self) -> Figures:
        sampler = self.sampler
        return Figures(
            sampler.corrupt_count,
            sampler.decoded_count,
            sampler.decode_seconds,
            sampler.key_frame_seconds,
            sampler.skipped_count,
        )

    def close(self) -> None:
        WATCHDOG.forget(self._watched)
        self._opened.close()


def _too_large() -> str:
    return _("The pictures cannot be decoded or are larger than 40 megapixels; let the camera send smaller ones.")


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
            burst = stream.sample(packet, Arrival(began_at.timestamp() + shown, read))
            if burst:
                yield (burst.captured_at - began_at).total_seconds(), burst
