"""Cameras that lead elsewhere, and cameras that speak TLS."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django.fixtures import Settings

from cameras.sources import UnableToOpen, probe
from tests.clips import write_clip
from trafficmon.core.clock import utc_now

pytestmark = pytest.mark.integration
REDIRECTED = "The camera redirects elsewhere, which is not allowed: give the address it leads to."
SDP = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=RTSP/RTP stream 302\r\nt=0 0\r\n"
SDP += b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
DESCRIPTION = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s" % (len(SDP), SDP)


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of the loopback address, whose connections `serve` answers one after another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # the reader may leave in the midst of a sentence
                serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answer(connection: socket.socket, answers: dict[bytes, bytes], methods: list[bytes]) -> None:
    """Speak RTSP: the answers given, and 200 to the rest. Notes what was asked."""
    connection.settimeout(30)
    while asked := connection.recv(4096):
        method = asked.split(b" ")[0]
        methods.append(method)
        number = asked.partition(b"CSeq: ")[2].split(b"\r\n")[0]
        usual = b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n" + (DESCRIPTION if method == b"DESCRIBE" else b"\r\n")
        given = answers.get(method, usual).replace(b"%s", number, 1)
        for each in given.split(b"|"):
            connection.sendall(each)


@pytest.mark.parametrize("method", [b"OPTIONS", b"DESCRIBE", b"SETUP"])
@pytest.mark.parametrize(
    "status",
    [
        b"RTSP/1.0 302 Found",
        b"RTSP/1.0 3|01 Moved",
        b"RTSP/1.0 4294967598 Found",
        b"R\rTSP/1.0  \t305",
        b"$\0\0\x04xxxxRTSP/1.0 303 Other",
    ],
)
def test_rtsp_redirect_is_not_followed(method: bytes, status: bytes) -> None:
    called: list[socket.socket] = []
    with listening(called.append) as elsewhere:
        redirect = status + b"\r\nCSeq: %s\r\nLocation: rtsp://127.0.0.1:" + str(elsewhere).encode() + b"/live\r\n\r\n"
        with (
            listening(partial(answer, answers={method: redirect}, methods=[])) as port,
            pytest.raises(UnableToOpen) as refused,
        ):
            probe(f"rtsp://127.0.0.1:{port}/live", timeout_seconds=20)
    assert called == []
    assert str(refused.value) == REDIRECTED


def test_rtsp_stream_that_is_called_as_a_redirect_is_spelled_is_not_refused_for_it() -> None:
    session = b"RTSP/1.0 200 OK\r\nCSeq: %s\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    answers = {b"SETUP": session, b"PLAY": b"RTSP/1.0 454 Session Not Found\r\nCSeq: %s\r\n\r\n"}
    asked: list[bytes] = []
    with (
        listening(partial(answer, answers=answers, methods=asked)) as port,
        pytest.raises(UnableToOpen) as refused,
    ):
        probe(f"rtsp://127.0.0.1:{port}/live", timeout_seconds=20)
    assert str(refused.value) != REDIRECTED
    assert asked[:4] == [b"OPTIONS", b"DESCRIBE", b"SETUP", b"PLAY"]


class QuietSite(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_certificate(folder: Path, *, address: str) -> Path:
    """A certificate for `address` that vouches for itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    kept = folder / f"{address}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kept.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return kept


@contextmanager
def serving_over_tls(folder: Path, certificate: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietSite, directory=str(folder)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # readers that leave early are no failure
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/clip.mp4"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_https_stream_of_a_trusted_camera_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4")  # its index is at its end, so that it takes a second connection
    certificate = make_certificate(tmp_path, address="127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving_over_tls(tmp_path, certificate) as url:
        assert probe(url).width == 320
    for thread in threading.enumerate():
        if thread.name == "relay":
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize(("address", "trusted"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_https_camera_with_a_wrong_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, trusted: bool
) -> None:
    write_clip(tmp_path / "clip.mp4")
    certificate = make_certificate(tmp_path, address=address)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        serving_over_tls(tmp_path, certificate) as url,
        pytest.raises(UnableToOpen, match=r"^The camera's certificate is not trusted: .*ALGO_CAMERA_TLS_VERIFY"),
    ):
        probe(url)


def test_certificate_is_not_asked_for_where_the_operator_says_so(tmp_path: Path, settings: Settings) -> None:
    write_clip(tmp_path / "clip.mp4")
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_tls_verify": False})
    with serving_over_tls(tmp_path, make_certificate(tmp_path, address="127.0.0.2")) as url:
        assert probe(url).width == 320


def test_redirect_is_not_followed_over_tls_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path, address="127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    called: list[socket.socket] = []
    asked: list[bytes] = []
    with listening(called.append) as elsewhere:
        redirect = f"RTSP/1.0 302 Found\r\nCSeq: %s\r\nLocation: rtsp://127.0.0.1:{elsewhere}/live\r\n\r\n".encode()

        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as over_tls:
                answer(over_tls, {b"DESCRIBE": redirect}, asked)

        with listening(serve) as port, pytest.raises(UnableToOpen) as refused:
            probe(f"rtsps://127.0.0.1:{port}/live", timeout_seconds=20)
    assert called == []
    assert (str(refused.value), asked) == (REDIRECTED, [b"OPTIONS", b"DESCRIBE"])


def test_camera_without_tls_is_explained(tmp_path: Path) -> None:
    with (
        listening(lambda connection: connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as port,
        pytest.raises(UnableToOpen, match=r"^The camera speaks no TLS at this port: use rtsp or http\.$"),
    ):
        probe(f"https://127.0.0.1:{port}/clip.mp4", timeout_seconds=20)
