"""A way for FFmpeg to one checked address and no other, over TLS where the camera speaks it."""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress

from django.conf import settings
from django.utils.translation import gettext_noop

from cameras.addresses import Endpoint

_CHUNK_BYTES = 262_144
_DO_NOT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
"""Where there is no such flag (Windows), the selector has said that something is there."""
_GATHER_SECONDS = 0.1
"""Once pictures come, those of a tenth of a second are passed on together: to be woken for each is what costs, here and
in the thread that reads them. When they were captured is told by their own time stamps."""
_LONGEST_TALK_BYTES = 262_144
_LONGEST_LINE = 8192
"""Twice of what FFmpeg keeps of a line."""
_OTHER_STATUS = re.compile(rb"RTSP/[^ \t\n]{0,4096}[ \t]{1,4096}(?:[\v\f+\-036789]|[1245]\d\d[^ \t\n])")
"""A status that could be read as another than 1xx, 2xx, 4xx or 5xx, wherever a reader takes a line to begin."""


class Redirected(Exception):
    """The camera leads elsewhere, where it was not checked whether a camera may be; the message is for an operator."""

    def __init__(self) -> None:
        super().__init__(
            gettext_noop("The camera redirects elsewhere, which is not allowed: give the address it leads to.")
        )


class Talk:
    """What camera and reader say before the pictures come: only then would FFmpeg follow an RTSP redirect."""

    def __init__(self) -> None:
        self.is_over = False
        self._line = b""
        self._heard_bytes = 0

    def hear_reader(self, said: bytes) -> None:
        self.is_over = self.is_over or said.startswith(b"PLAY ")

    def hear_camera(self, said: bytes) -> None:
        """Raise Redirected before a redirect is passed on, also where it is hidden among other bytes."""
        if self.is_over:
            return
        self._heard_bytes += len(said)
        heard = self._line + said.replace(b"\r", b"")  # FFmpeg leaves these out wherever they are
        if _OTHER_STATUS.search(heard):
            raise Redirected
        if self._heard_bytes > _LONGEST_TALK_BYTES:
            raise ConnectionAbortedError
        self._line = heard[heard.rfind(b"\n") + 1 :][-_LONGEST_LINE:]


class Relay:
    """A port of the loopback address that leads to `endpoint`, until `close`.

    FFmpeg follows an RTSP redirect without asking, checks no certificate unless told to, and cannot be told which
    address a name stands for: so it is given this port instead. RTSP needs one connection, and nobody else shall find
    another; HTTP needs one more to go elsewhere in a file. Raises OSError (also ssl.SSLError) where the endpoint cannot
    be reached.
    """

    def __init__(self, endpoint: Endpoint, *, rtsp: bool, timeout_seconds: float) -> None:
        self.refusal = ""
        """Why the relay broke the connection, where it did."""
        self._endpoint = endpoint
        self._rtsp = rtsp
        self._timeout_seconds = timeout_seconds
        camera = _connect(endpoint, timeout_seconds)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = {camera, self._listener}
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(camera,), name="relay", daemon=True).start()

    def close(self) -> None:
        """Break all connections, so that the threads that wait on them close them; a second time does nothing."""
        for each in tuple(self._open):
            _break(each)

    def _accept(self, camera: socket.socket) -> None:
        with suppress(OSError), self._listener:  # `close` was called, or the camera is gone
            self._serve(camera)
            while not self._rtsp:
                self._serve(None)

    def _serve(self, camera: socket.socket | None) -> None:
        """Forward what the next reader says; raises OSError where there is none or no camera for it."""
        with ExitStack() as on_failure:
            if camera:
                on_failure.enter_context(camera)
            reader = on_failure.enter_context(self._listener.accept()[0])
            camera = camera or _connect(self._endpoint, self._timeout_seconds)
            on_failure.pop_all()
        self._open.update({reader, camera})
        threading.Thread(target=self._forward, args=(reader, camera), name="relay", daemon=True).start()

    def _forward(self, reader: socket.socket, camera: socket.socket) -> None:
        talk = Talk()
        with suppress(OSError), reader, camera, selectors.DefaultSelector() as ready:  # one of them breaks, or `close`
            ready.register(reader, selectors.EVENT_READ)
            ready.register(camera, selectors.EVENT_READ)
            try:
                while self._pass_on_all([key.fileobj is reader for key, _mask in ready.select()], reader, camera, talk):
                    pass
            except Redirected as error:
                self.refusal = str(error)
            finally:
                self._open.difference_update({reader, camera})

    def _pass_on_all(self, outward: list[bool], reader: socket.socket, camera: socket.socket, talk: Talk) -> bool:
        """Pass on what was said in these directions, and let more gather; whether more may come."""
        said = [self._pass_on(each, reader, camera, talk) for each in outward]
        if talk.is_over and sum(said) < _CHUNK_BYTES:
            time.sleep(_GATHER_SECONDS)
        return -1 not in said

    def _pass_on(self, outward: bool, reader: socket.socket, camera: socket.socket, talk: Talk) -> int:
        """Pass on what one of them said; how many bytes, -1 at the end."""
        speaker, listener = (reader, camera) if outward else (camera, reader)
        said = _hear(speaker)
        if not said:
            return 0 if said is None else -1
        if self._rtsp:
            (talk.hear_reader if outward else talk.hear_camera)(said)
        _say(listener, said)
        return len(said)


def _say(listener: socket.socket, said: bytes) -> None:
    if isinstance(listener, ssl.SSLSocket):
        listener.settimeout(None)  # `_hear_all` does not wait
    listener.sendall(said)


def _hear(speaker: socket.socket) -> bytes | None:
    """What was said, empty at the end; None where nothing was, as when TLS only talks to itself."""
    if isinstance(speaker, ssl.SSLSocket):
        return _hear_all(speaker)
    try:
        return speaker.recv(_CHUNK_BYTES, _DO_NOT_WAIT)
    except BlockingIOError:
        return None


def _hear_all(speaker: ssl.SSLSocket) -> bytes | None:
    """As `_hear`: TLS hands out one record at a time, and selectors do not see those that it holds already."""
    speaker.settimeout(0)
    heard = b""
    try:
        while len(heard) < _CHUNK_BYTES:
            said = speaker.recv(_CHUNK_BYTES)
            heard += said
            if not said:
                break
    except (BlockingIOError, ssl.SSLWantReadError):
        return heard or None
    return heard


def _connect(endpoint: Endpoint, timeout_seconds: float) -> socket.socket:
    plain = socket.create_connection((str(endpoint.address), endpoint.port), timeout=timeout_seconds)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not endpoint.tls:
        plain.settimeout(None)
        return plain
    context = ssl.create_default_context()
    if not settings.ENVIRONMENT.camera_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=endpoint.name)
    except OSError:
        plain.close()
        raise


def _break(connection: socket.socket) -> None:
    with suppress(OSError):  # it is broken already
        connection.shutdown(socket.SHUT_RDWR)
