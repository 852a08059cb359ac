"""Streams over HTTP, read for real: recordings, and the JPEGs that many cameras send without end."""

from __future__ import annotations

import http.server
import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from cameras.sampling import Burst
from cameras.sources import Terms, UnableToOpen, UnableToRead, encode_jpeg, open_stream, probe
from tests.clips import Codec, number_of, numbered_picture, write_clip

pytestmark = pytest.mark.integration


@pytest.fixture
def videos(settings: Settings, tmp_path: Path) -> Path:
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})
    return tmp_path


def take(source: str, count: int, terms: Terms) -> list[Burst]:
    with closing(open_stream(source, terms)) as stream:
        return list(islice(stream.bursts(threading.Event()), count))


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves the clips, and misbehaves where its path says so."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Host", "")))
        kind = self.path.strip("/").partition("?")[0]
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/clip.ts")
            self.end_headers()
        elif kind in {"401", "403", "404", "500"}:
            self.send_error(int(kind))
        elif kind == "silent":
            time.sleep(8)
        elif kind == "pictures":
            self.send_pictures()
        else:
            super().do_GET()

    def send_pictures(self) -> None:
        """A stream of JPEGs, ten a second, for ten seconds or until the other side has seen enough."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        for number in range(100):
            jpeg = encode_jpeg(numbered_picture(number))
            head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            try:
                self.wfile.write(head + jpeg + b"\r\n")
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    asked: list[tuple[str, str]] = []
    site = type("SiteOfThisTest", (Site,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(site, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("clip", "codec", "name"),
    [("clip.mp4", "h264", "h264"), ("clip.mkv", "h265", "hevc"), ("clip.mkv", "mjpeg", "mjpeg")],
)
def test_http_stream_is_read(videos: Path, clip: str, codec: Codec, name: str) -> None:
    write_clip(videos / clip, codec=codec)
    with serving(videos) as (address, asked):
        found = probe(f"http://{address}/{clip}")
        bursts = take(f"http://{address}/{clip}", 2, Terms(1.0))
    assert (found.width, found.height, found.codec, found.fps) == (320, 240, name, 25.0)
    assert [number_of(burst.pictures[0]) for burst in bursts] == [0, 25]
    assert asked[0] == (f"/{clip}", address)


def test_http_stream_of_jpegs_is_read(videos: Path) -> None:
    with serving(videos) as (address, _asked):
        found = probe(f"http://{address}/pictures")
        bursts = take(f"http://{address}/pictures", 7, Terms(1.0))
    assert (found.width, found.height, found.codec) == (320, 240, "mjpeg")
    assert [len(burst.pictures) for burst in bursts] == [1, 3, 3, 3, 3, 3, 3]
    spans = [number_of(burst.pictures[-1]) - number_of(burst.pictures[0]) for burst in bursts[1:]]
    assert all(2 <= span <= 9 for span in spans)
    begun = [number_of(burst.pictures[0]) for burst in bursts[1:]]
    assert all(5 <= later - earlier <= 25 for earlier, later in pairwise(begun))


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("moved", "The camera answered with an error, or leads to another address."),
        ("list.m3u8", "What is there is not video in a form that is allowed."),
        ("401", "The camera refuses this user name or password."),
        ("403", "The camera forbids access to this stream."),
        ("404", "The camera has no stream under this path."),
        ("500", "The camera answered with an error, or leads to another address."),
        ("silent", "The camera did not answer in time."),
    ],
)
def test_http_refusal_is_explained_without_the_password(videos: Path, path: str, sentence: str) -> None:
    clip = write_clip(videos / "clip.ts")
    (videos / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{clip.name}\n#EXT-X-ENDLIST\n")
    with serving(videos) as (address, asked):
        with pytest.raises(UnableToOpen) as refused:
            probe(f"http://user:geheim@{address}/{path}", timeout_seconds=2)
        assert str(refused.value) == sentence
        assert "/clip.ts" not in [asked_path for asked_path, _host in asked]


def test_http_stream_that_ends_is_read_no_more(videos: Path) -> None:
    write_clip(videos / "clip.h264")
    with serving(videos) as (address, _asked), closing(open_stream(f"http://{address}/clip.h264", Terms(9))) as stream:
        bursts = stream.bursts(threading.Event())
        assert number_of(next(bursts).pictures[0]) == 0
        with pytest.raises(UnableToRead, match=r"^The camera ended the stream\.$"):
            next(bursts)
