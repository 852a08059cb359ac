"""The RTSP server of the tests as a process: cameras on the loopback address that can be told to misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NOT_INSTALLED = "needs apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad,ugly}"
"""Why tests skip, or fail where CI=true, where `server_is_installed` says no."""
_SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).parent / "rtsp_server.py"
_INSTALLED = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("x264enc", "rtph264pay", "h265parse", "parsebin", "appsrc")))
"""


def server_is_installed() -> bool:
    """Whether the system has GStreamer's RTSP server and what it needs for the clips."""
    if sys.platform != "linux" or not Path(_SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([_SYSTEM_PYTHON, "-c", _INSTALLED], capture_output=True, check=False).returncode == 0


def is_continuous_integration() -> bool:
    """Whether everything that `make setup-test` installs has to be there: nobody would notice what skips."""
    return os.environ.get("CI") == "true"


needs_rtsp_server = pytest.mark.skipif(
    not is_continuous_integration() and not server_is_installed(), reason=NOT_INSTALLED
)
"""A test of this mark skips without the server, but fails where CI=true."""


@dataclass
class RtspCamera:
    """A server process of these arguments, and the addresses of its streams."""

    arguments: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> None:
        """Start it, again under the same port where it was stopped."""
        self.process = subprocess.Popen(
            [_SYSTEM_PYTHON, str(_SCRIPT), "--port", str(self.port), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        port = self._answer()
        assert port, f"The server did not start: {NOT_INSTALLED}"
        self.port = int(port)

    def stop(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def tell(self, command: str) -> None:
        """Give it one of the commands that `rtsp_server.py` lists; it is carried out when this returns."""
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert answer == "done", answer

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def hang(self) -> None:
        """Stop the process, not its sockets: the kernel keeps them open and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `hang`."""
        self.process.send_signal(signal.SIGCONT)

    def url(self, credentials: str = "", path: str = "live") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"


@contextmanager
def served(*arguments: str | Path) -> Iterator[RtspCamera]:
    """A running server of these arguments."""
    camera = RtspCamera(tuple(str(argument) for argument in arguments))
    camera.start()
    try:
        yield camera
    finally:
        camera.stop()
