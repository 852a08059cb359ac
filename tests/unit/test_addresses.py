"""Which addresses a camera may point to."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from cameras.addresses import (
    AllowedSource,
    Endpoint,
    SourceKind,
    StreetAddress,
    allow_source,
    check_address,
    check_source,
    mask_credentials,
    read_street,
    unmask,
)

PUBLIC = "93.184.215.14"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server of the test's own; numbers are read as the system reads them."""
    known = {"camera.example": [PUBLIC], "two.example": [PUBLIC, "10.0.0.7"], "rebound.example": ["127.0.0.1"]}
    resolve = socket.getaddrinfo

    def answer(host: str, port: object, **options: object) -> list[tuple[object, ...]]:
        if host in known:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in known[host]]
        return list(resolve(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    (tmp_path / "media" / "videos" / "north").mkdir(parents=True)
    (tmp_path / "media" / "videos" / "north" / "road.mp4").write_bytes(b"video")
    (tmp_path / "media" / "kept.mp4").write_bytes(b"video")
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    return tmp_path / "media"


def allow_networks(settings: Settings, *networks: str) -> None:
    allowed = tuple(map(ipaddress.ip_network, networks))
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})


def refusal(source: str) -> str:
    with pytest.raises(ValidationError) as refused:
        check_source(source)
    return " ".join(refused.value.messages)


@pytest.mark.parametrize(
    ("source", "opened"),
    [
        ("rtsp://camera.example/live", f"rtsp://{PUBLIC}/live"),
        ("rtsp://u:p%40ss@camera.example:8554/live?x=1", f"rtsp://u:p%40ss@{PUBLIC}:8554/live?x=1"),
        ("http://camera.example/a.ts", f"http://{PUBLIC}/a.ts"),
        ("RTSP://camera.example/live", f"rtsp://{PUBLIC}/live"),
        ("https://camera.example:8443/a.ts", f"https://{PUBLIC}:8443/a.ts"),
        ("rtsps://camera.example/live", f"rtsps://{PUBLIC}/live"),
    ],
)
def test_checked_address_takes_the_place_of_the_name(source: str, opened: str) -> None:
    assert allow_source(source).url == opened


@pytest.mark.parametrize(
    ("source", "port", "tls"),
    [
        ("https://camera.example:8443/a.ts", 8443, True),
        ("https://camera.example/a.ts", 443, True),
        ("rtsps://camera.example/live", 322, True),
        ("rtsp://camera.example/live", 554, False),
        ("http://camera.example/a.ts", 80, False),
    ],
)
def test_endpoint_is_the_checked_address_and_keeps_the_name_for_the_certificate(
    source: str, port: int, tls: bool
) -> None:
    assert allow_source(source).endpoint == Endpoint(ipaddress.ip_address(PUBLIC), port, "camera.example", tls)


def test_allowed_source_keeps_the_name_for_the_camera() -> None:
    allowed = allow_source("http://camera.example:8080/a")
    assert (allowed.kind, allowed.url) == (SourceKind.HTTP, f"http://{PUBLIC}:8080/a")
    assert allowed.host == "camera.example:8080"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.64",
        "100.64.0.1",
        "[fd12::1]",
        "rebound.example",
        "two.example",
    ],
)
def test_private_address_in_any_spelling_needs_its_network_named(host: str) -> None:
    assert refusal(f"rtsp://{host}/live").endswith("Name that network in ALGO_CAMERA_NETWORKS to allow it.")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "rebound.example"])
def test_named_network_is_allowed(host: str, settings: Settings) -> None:
    allow_networks(settings, "127.0.0.0/8")
    assert allow_source(f"rtsp://{host}/live").kind is SourceKind.RTSP


def test_every_address_of_a_name_has_to_be_allowed(settings: Settings, names: dict[str, list[str]]) -> None:
    allow_networks(settings, "10.0.0.0/24")
    check_source("rtsp://two.example/live")
    names["two.example"].append("10.0.1.1")
    assert refusal("rtsp://two.example/live") == (
        "two.example (10.0.1.1) is in a private network. Name that network in ALGO_CAMERA_NETWORKS to allow it."
    )


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
    ],
)
def test_some_addresses_are_never_allowed(host: str, settings: Settings) -> None:
    allow_networks(settings, "0.0.0.0/0", "::/0")
    assert refusal(f"http://{host}/latest").endswith("can never be used.")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("file:///etc/passwd", "file: is not possible"),
        ("concat:a.mp4|b.mp4", "concat: is not possible"),
        ("subfile,,start,0,end,0,,:/etc/passwd", "There is no video file"),
        ("pipe:0", "pipe: is not possible"),
        ("data:text/plain,x", "data: is not possible"),
        ("tcp://camera.example:80", "tcp: is not possible"),
        ("rtsp:///live", "This address has no valid host or port"),
        ("rtsp://user:p/w@camera.example/live", "This address has no valid host or port"),
        ("rtsp://camera.example:99999/live", "This address has no valid host or port"),
        ("rtsp://[::1/live", "This address has no valid host or port"),
        ("rtsp://camera.example\\@127.0.0.1/live", "127.0.0.1 (127.0.0.1) is in a private network"),
        ("rtsp://unknown.example/live", "The host unknown.example is not known here"),
        ("rtsp://***@camera.example/live", "The password in this address is masked"),
        (" rtsp://camera.example/live", "Give an address without spaces around it"),
        ("rtsp://camera.example/live\r\nX: y", "Give an address without spaces around it"),
        ("", "Give an address without spaces around it"),
        ("../secret.mp4", "A video file has to be inside the media folder"),
        ("../kept.mp4", "A video file has to be inside the media folder"),
        ("/etc/passwd", "A video file has to be inside the media folder"),
        ("absent.mp4", "There is no video file absent.mp4 in the media folder."),
        ("north", "There is no video file north in the media folder."),
        ("street://nowhere?seed=1", "There is no street nowhere; there are: "),
        ("street://junction?seed=many", "seed and fps of a street are numbers"),
        ("street://junction?speed=2", "A street is spelled street://junction?seed=1&fps=25"),
        ("street://junction?fps=1000", "A street is spelled street://junction?seed=1&fps=25"),
        ("street://junction/../x", "A street is spelled street://junction?seed=1&fps=25"),
    ],
)
def test_other_sources_are_refused_with_a_reason(source: str, reason: str) -> None:
    assert refusal(source)[: len(reason)] == reason


def test_file_below_the_media_folder_is_allowed(media: Path) -> None:
    path = media / "videos" / "north" / "road.mp4"
    assert allow_source("north/road.mp4") == AllowedSource(SourceKind.FILE, str(path))
    assert allow_source(str(path)) == AllowedSource(SourceKind.FILE, str(path))
    assert allow_source(str(media / "kept.mp4")).url == str(media / "kept.mp4")


def test_link_that_leads_out_of_the_media_folder_is_refused(media: Path) -> None:
    (media / "videos" / "link.mp4").symlink_to(media.parent / "secret.mp4")
    assert refusal("link.mp4").startswith("A video file has to be inside the media folder")


def test_street_is_allowed() -> None:
    assert allow_source("street://junction?seed=3").kind is SourceKind.STREET
    assert read_street("street://junction?seed=3&fps=10") == StreetAddress("junction", 3, 10.0)
    assert read_street("street://junction") == StreetAddress("junction", 1, 25.0)


@given(st.ip_addresses())
def test_no_address_outside_the_public_internet_passes_unnamed(address: ipaddress.IPv4Address) -> None:
    try:
        check_address(address, host="host")
    except ValidationError:
        return
    assert address.is_global or getattr(address, "ipv4_mapped", None)
    assert not any((address.is_multicast, address.is_link_local, address.is_loopback, address.is_unspecified))


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ("rtsp://user:password@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p@ss:word@host:554/live", "rtsp://***@host:554/live"),
        ("rtsp://host/live@home", "rtsp://host/live@home"),
        ("rtsp://host/live?user=a&password=b&channel=1", "rtsp://host/live?user=***&password=***&channel=1"),
        ("rtsp://host/user=a_password=b_channel=1&stream=0.sdp", "rtsp://host/user=***&stream=0.sdp"),
        ("https://host/a.ts?access_token=abc", "https://host/a.ts?access_token=***"),
        ("street://junction?seed=1", "street://junction?seed=1"),
        ("north/road.mp4", "north/road.mp4"),
    ],
)
def test_mask_hides_what_opens_the_camera(source: str, masked: str) -> None:
    assert mask_credentials(source) == masked


@given(st.text("ab:@%&=+", min_size=1, max_size=12))
def test_mask_leaves_nothing_of_any_password(password: str) -> None:
    assert mask_credentials(f"rtsp://user:{password}@10.0.0.1/live") == "rtsp://***@10.0.0.1/live"


def test_unmask_keeps_the_secret_only_while_the_masked_text_is_unchanged() -> None:
    kept = "rtsp://user:password@camera.example/live"
    assert unmask("rtsp://***@camera.example/live", kept=kept) == kept
    assert unmask("rtsp://***@elsewhere.example/live", kept=kept) == "rtsp://***@elsewhere.example/live"
    assert unmask("rtsp://new:one@camera.example/live", kept=kept) == "rtsp://new:one@camera.example/live"
