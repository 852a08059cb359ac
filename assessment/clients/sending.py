"""HTTP that keeps two promises which SDKs do not: exactly one request, and all of it within the time allowed."""

from __future__ import annotations

import functools
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from assessment.clients import Departing
from assessment.clients.failures import (
    KeyRevoked,
    ModelTimedOut,
    ProviderFailed,
    ProviderUnreachable,
    UnableToAssess,
    failure_of,
)
from assessment.clients.parts import Told, code_and_message, in_between, refusal
from trafficmon import __version__

CONNECT_SECONDS = 5.0
"""A provider that takes longer to accept a connection is as good as down."""

MAX_REPLY_BYTES = 2_000_000
"""A verdict is about 2 kB; what is larger is not one."""


class _RawUntil(io.RawIOBase):
    """The bytes of a socket until a deadline, however slowly they trickle, and no more than MAX_REPLY_BYTES."""

    def __init__(self, sock: socket.socket, source: io.BufferedReader, deadline: float) -> None:
        self._sock = sock
        self._source = source
        self._deadline = deadline
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """What comes next; raises TimeoutError once the deadline is past, OSError over MAX_REPLY_BYTES."""
        self._sock.settimeout(_time_left(self._deadline))
        count = self._source.raw.readinto(buffer) or 0
        self._received += count
        if self._received > MAX_REPLY_BYTES:
            message = f"more than {MAX_REPLY_BYTES} bytes"
            raise OSError(message)
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _timed_response(
    sock: socket.socket, debuglevel: int = 0, method: str | None = None, *, deadline: float
) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(sock, debuglevel, method)
    response.fp = io.BufferedReader(_RawUntil(sock, response.fp, deadline))
    return response


@dataclass(slots=True)
class Way:
    """One request's way to the wire: `sent_at`, by the monotonic clock, is 0 until it has left."""

    departure: Departing | None = None
    allowed_seconds: float = 0.0
    """From sending to the whole reply."""
    sent_at: float = 0.0

    @property
    def seconds(self) -> float:
        """Since it left."""
        return time.monotonic() - self.sent_at

    @property
    def is_late(self) -> bool:
        return self.sent_at > 0 and self.seconds >= self.allowed_seconds


class _OfThread(threading.local):
    """The way of the request that the thread makes: urllib3 passes nothing of ours on to its connections."""

    way: Way | None = None


_of_thread = _OfThread()


class _Timed(HTTPConnection):
    """A connection that is open, and has the request ready, before the request's departure is waited for; then all of
    it leaves in one piece. The timeout covers headers and body of the reply together, not each wait by itself."""

    _way: Way | None = None
    _head: bytes | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """The request of this thread's way."""
        self._way, self._head = _of_thread.way, None
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Connect where need be, and keep the head until the body comes, which every request here has."""
        if self._way is None or self._way.sent_at:
            super().send(data)
        elif self._head is None:
            self._head = data
            if self.sock is None:
                self._open()
        else:
            self._depart(self._way, self._head + data)

    def _depart(self, way: Way, request: bytes) -> None:
        departure = way.departure
        if departure:
            departure.await_slot()
            if not self.is_connected:
                # The other side has closed what was kept open for another request.
                self.sock.close()
                self._open()
            way.allowed_seconds = min(way.allowed_seconds, departure.begin())
        self.sock.settimeout(way.allowed_seconds)
        way.sent_at = time.monotonic()
        super().send(request)
        if departure:
            departure.note_sent()

    def _open(self) -> None:
        """Connect; a proxy on the way is asked by a request that waits for nothing."""
        way, self._way = self._way, None
        self.connect()
        self._way = way

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 itself does
        deadline = self._way.sent_at + self._way.allowed_seconds if self._way else time.monotonic()
        self._way = None
        self.response_class = functools.partial(_timed_response, deadline=deadline)  # type: ignore[assignment]
        return super().getresponse()


class _TimedTls(_Timed, HTTPSConnection):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTls


_POOLS = {"http": _TimedPool, "https": _TimedTlsPool}


class _Adapter(HTTPAdapter):
    """Timed connections, straight or through a proxy; up to a given number are kept open."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        through = super().proxy_manager_for(*args, **kwargs)
        through.pool_classes_by_scheme = _POOLS
        return through


class OneRequestSession(requests.Session):
    """One `post` is one request: no re-send, no redirect, no cookie, no netrc.

    DashScope's SDK, which is given it as its session, sends again when it sees requests' ConnectionError, so none
    leaves here: every failure to get a reply is raised as the UnableToAssess it is, which the SDK lets through.
    `is_answer` tells whether a JSON object that came with status 200 is an answer: some gateways send refusals so.
    Safe to use from many threads.
    """

    def __init__(self, base_url: str, *, connections: int, is_answer: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._is_answer = is_answer
        # The environment's proxies and certificates are read once here, not at every call; its netrc, which would
        # replace the key of a call, never.
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify, self.trust_env = dict(found["proxies"]), found["verify"], False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # So that the limit on a reply's bytes is a limit on its size.
        self.headers["Accept-Encoding"] = "identity"
        adapter = _Adapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def begin_way(self, departure: Departing | None) -> Way:
        """The way of the request that this thread makes next."""
        _of_thread.way = Way(departure)
        return _of_thread.way

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:  # noqa: ARG002
        """The reply within `timeout` seconds of sending, or an UnableToAssess."""
        seconds = float(kwargs["timeout"])
        way = _of_thread.way = _of_thread.way or Way()
        way.allowed_seconds = seconds
        try:
            request = _prepared(url, data, dict(self.headers) | _without_telemetry(kwargs["headers"]))
            response = self.send(
                request,
                timeout=_timeout(seconds),
                allow_redirects=False,
                proxies=self.proxies,
                verify=self.verify,
                cert=self.cert,
            )
        except (requests.exceptions.InvalidHeader, UnicodeError):
            raise KeyRevoked("The key has characters that no key has.") from None
        except requests.RequestException as error:
            raise _failure(error, timed_out=way.is_late) from None
        finally:
            _of_thread.way = None
        self._check_protocol(response, _key_of(kwargs["headers"]))
        return response

    def _check_protocol(self, response: requests.Response, api_key: str) -> None:
        """Raises on what is no JSON object, and on a refusal that comes with 200: the SDK stumbles over both."""
        reply = _json_object(response)
        if response.status_code == HTTPStatus.OK and not self._is_answer(reply):
            raise _refusal_with_200(reply, api_key)


def _prepared(url: Any, data: Any, headers: Mapping[str, str | bytes]) -> requests.PreparedRequest:
    """As `Session.request` makes it, but for the cookies, hooks and credentials it looks for: there are none."""
    request = requests.PreparedRequest()
    request.prepare(method="POST", url=url, data=data, headers=headers)
    return request


def _key_of(headers: Mapping[str, str]) -> str:
    sent = {name.lower(): value for name, value in headers.items()}
    return sent.get("authorization", "").removeprefix("Bearer ")


def _timeout(seconds: float) -> Any:
    # requests passes a urllib3 timeout through; its type stubs know only numbers.
    return urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds)


def _without_telemetry(headers: dict[str, str]) -> dict[str, str]:
    """The SDK's headers less those that describe this machine and process to the provider."""
    kept = {name: value for name, value in headers.items() if not name.lower().startswith("x-dashscope-sdk")}
    return {**kept, "user-agent": f"trafficmon/{__version__}"}


def _failure(error: requests.RequestException, *, timed_out: bool) -> UnableToAssess:
    """Only the error's type is told: its text holds addresses, and may hold more."""
    name = type(error).__name__
    if isinstance(error, requests.ConnectTimeout):
        return ProviderUnreachable(f"No connection to the provider ({name}).")
    if isinstance(error, requests.Timeout) or timed_out:
        return ModelTimedOut(f"No whole answer within the time allowed ({name}).")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return ProviderUnreachable(f"The connection failed before the whole answer came ({name}).")
    return ProviderFailed(f"The request could not be made or its reply not read ({name}).")


def _json_object(response: requests.Response) -> dict[str, Any]:
    """The body; raises the failure that fits the status where it is no JSON object."""
    status = response.status_code
    try:
        reply = json.loads(response.content)
    except ValueError:
        reply = None
    if isinstance(reply, dict):
        return reply
    failure = ProviderFailed if status == HTTPStatus.OK else failure_of(status, "", "")
    raise failure(in_between(status, "a body that is no JSON object"), status=status)


def _refusal_with_200(reply: dict[str, Any], api_key: str) -> UnableToAssess:
    code, message = code_and_message(reply)
    failure = failure_of(HTTPStatus.INTERNAL_SERVER_ERROR, code, message)
    words, request_id = message or "The reply has no answer in it.", str(reply.get("request_id") or "")
    told = Told(HTTPStatus.OK, code, words, request_id, {})
    return refusal(told, api_key=api_key, failure=failure)
