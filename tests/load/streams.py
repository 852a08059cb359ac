"""The cameras of the load benchmark: clips of the synthetic street, served over RTSP on the loopback address."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av

from cameras.street import SCENES, Street
from tests.rtsp_camera import RtspCamera

Codec = Literal["h264", "h265"]

FPS = 25
WIDTH_PX, HEIGHT_PX = 1280, 720
MOST_BITS_PER_SECOND = 2_000_000
QUALITY = {"h264": "25", "h265": "28"}
"""Constant rate factors: as cameras do it, bits follow the scene, up to a bound.

Here they are 1.0 to 1.3 Mbit/s in H.264, 0.8 to 1.2 in H.265.
"""
SHORTEST_SECONDS = 20.0
"""Of a loop: tracks break where it begins anew, which shall be rare."""
CLIPS = 5
"""So many different streets are shown by turns."""
CACHE = Path(__file__).resolve().parents[2] / "var" / "bench"
_FIRST_SEED = 9001
"""From here on are streets that the sample model was not trained on."""


@dataclass(frozen=True, slots=True)
class StreetClip:
    """A stretch of a street as a camera would send it: a key frame each `gop_seconds`, nowhere else, no B-frames."""

    scene: str
    seed: int
    codec: Codec = "h264"
    gop_seconds: float = 1.0
    seconds: float = SHORTEST_SECONDS

    @property
    def name(self) -> str:
        """The name of its file, in which is all that it depends on."""
        coding = f"{self.codec}-crf{QUALITY[self.codec]}-gop{self.gop_seconds:g}"
        return f"{self.scene}-{self.seed}-{coding}-{self.seconds:g}s.mp4"

    @property
    def gop_frames(self) -> int:
        """Pictures from one key frame to the next."""
        return round(self.gop_seconds * FPS)


class UnfitLoop(ValueError):
    """A clip is too short to begin over and over, or its end would cut the last group of pictures short."""


def generate_clip(folder: Path, clip: StreetClip) -> Path:
    """Draw and encode the clip as an MP4 file in `folder`, or find it there; raises UnfitLoop."""
    frames = round(clip.seconds * FPS)
    if clip.seconds < SHORTEST_SECONDS or frames % clip.gop_frames:
        raise UnfitLoop(clip)
    path = folder / clip.name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.mp4")
        _encode(unfinished, clip, frames)
        unfinished.replace(path)
    return path


def _encode(path: Path, clip: StreetClip, frames: int) -> None:
    street = Street(clip.scene, seed=clip.seed, width=WIDTH_PX, height=HEIGHT_PX)
    with av.open(str(path), "w") as container:
        stream = _add_stream(container, clip)
        for number in range(frames):
            street.advance_to(number / FPS)
            frame = av.VideoFrame.from_ndarray(street.render(), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _add_stream(container: av.container.OutputContainer, clip: StreetClip) -> av.VideoStream:
    """One reference and one thread, as in a camera, and so the same bytes each time."""
    stream = container.add_stream("libx264" if clip.codec == "h264" else "libx265", rate=FPS)
    stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    stream.gop_size, kbits = clip.gop_frames, MOST_BITS_PER_SECOND // 1000
    rules = f"keyint={clip.gop_frames}:min-keyint={clip.gop_frames}:scenecut=0:bframes=0:ref=1"
    rules += f":vbv-maxrate={kbits}:vbv-bufsize={2 * kbits}:log-level=0"
    if clip.codec == "h264":
        own = {"preset": "veryfast", "x264-params": f"{rules}:threads=1"}
    else:
        own = {"preset": "ultrafast", "x265-params": f"{rules}:open-gop=0:pools=none:frame-threads=1"}
    stream.options = {**own, "crf": QUALITY[clip.codec]}
    return stream


def generate_clips(count: int, *, codec: Codec = "h264", gop_seconds: float = 1.0, folder: Path = CACHE) -> list[Path]:
    """Clips of so many different streets, drawn on all cores."""
    scenes = sorted(SCENES)
    clips = [StreetClip(scenes[at % len(scenes)], _FIRST_SEED + at, codec, gop_seconds) for at in range(count)]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(partial(generate_clip, folder), clips))


class RtspFarm:
    """So many cameras that show these clips by turns, each at another place of its clip.

    One process serves them all, as that is cheapest.
    """

    def __init__(self, cameras: int, clips: list[Path]) -> None:
        self._server = RtspCamera(("--cameras", str(cameras), *(str(clip) for clip in clips)))
        self._cameras = cameras

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def urls(self) -> list[str]:
        """The cameras' addresses."""
        return [self._server.url(path=f"cam{number}") for number in range(1, self._cameras + 1)]

    @property
    def pids(self) -> list[int]:
        """The processes that serve."""
        return [self._server.process.pid]
