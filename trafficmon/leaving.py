"""How a web process ends: it accepts nobody more, and goes once the requests that it has begun are answered.

Daphne by itself drops them. Processes that share a socket leave it to the others without a gap.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from trafficmon.live.flow import Application

LONGEST_SECONDS = 10.0
"""For which a request is waited for."""
_LOOK_SECONDS = 0.1
_QUIET_LOOKS = 4
"""Who has just been accepted has still to ask, and the last answer to go out."""


class Leaving:
    """Counts the requests that are under way, and ends Daphne's reactor once there are none any more."""

    def __init__(self) -> None:
        self._under_way = 0
        self._quiet_looks = 0

    def watch(self, application: Application) -> Application:
        """The application, with its requests counted."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            is_request = scope["type"] == "http"
            self._under_way += is_request
            try:
                await application(scope, receive, send)
            finally:
                self._under_way -= is_request

        return counted

    def prepare(self) -> None:
        """Take SIGTERM over from Daphne's reactor, where this process has one."""
        if "twisted.internet.reactor" in sys.modules:
            # The reactor has yet to start, and takes the signal for itself when it does.
            _reactor().callLater(0, signal.signal, signal.SIGTERM, lambda *_: _reactor().callFromThread(self._leave))

    def _leave(self) -> None:
        for reader in _reactor().getReaders():
            if hasattr(reader, "stopListening"):
                reader.stopListening()
        self._look(time.monotonic() + LONGEST_SECONDS)

    def _look(self, until: float) -> None:
        self._quiet_looks = 0 if self._under_way else self._quiet_looks + 1
        if self._quiet_looks >= _QUIET_LOOKS or time.monotonic() > until:
            _reactor().stop()
        else:
            _reactor().callLater(_LOOK_SECONDS, self._look, until)


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor
