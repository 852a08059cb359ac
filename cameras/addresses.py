"""Which addresses a camera may point to: a camera's URL is a request that our servers make for a user."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from pydantic import IPvAnyNetwork

from cameras.wording import NEVER_ALLOWED, NO_SUCH_FILE, PRIVATE_NETWORK, UNKNOWN_HOST

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)
_SECRET_PARAMETERS = re.compile(
    r"(?<![a-z])((?:user(?:name)?|login|pass(?:word|wd)?|pwd|(?:access_?)?token|auth|key|secret|sig(?:nature)?)=)[^&#/?]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):", re.IGNORECASE)

_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",  # link-local, and where most clouds keep credentials of the machine
            "fe80::/10",
            "fd00:ec2::254/128",  # metadata of Amazon, Google, Alibaba, Oracle and Azure outside the link-local range
            "fd20:ce::254/128",
            "100.100.100.200/32",
            "192.0.0.192/32",
            "168.63.129.16/32",
            "0.0.0.0/8",
            "::/128",
            "255.255.255.255/32",
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class SourceKind(StrEnum):
    """How a source is opened."""

    RTSP = "rtsp"
    HTTP = "http"
    FILE = "file"
    STREET = "street"


_NETWORK_SCHEMES = {
    "rtsp": SourceKind.RTSP,
    "rtsps": SourceKind.RTSP,
    "http": SourceKind.HTTP,
    "https": SourceKind.HTTP,
}
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a camera is reached, and the name that its certificate has to bear where it speaks TLS."""

    address: Address
    port: int
    name: str
    tls: bool


@dataclass(frozen=True, slots=True)
class AllowedSource:
    """A source that passed the check, as it is to be opened.

    `url` names the checked address itself in place of the host, so that a name server that answers differently a moment
    later changes nothing; `host` is what the camera knows itself by.
    """

    kind: SourceKind
    url: str
    host: str = ""
    endpoint: Endpoint | None = None
    """Of a source in the network."""


def mask_credentials(source: str) -> str:
    """`source` with user name, password and tokens replaced by asterisks."""
    return _SECRET_PARAMETERS.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", source))


def unmask(given: str, *, kept: str) -> str:
    """`given`, or the source that is kept where `given` is only its masked form."""
    return kept if given == mask_credentials(kept) else given


def check_source(source: str) -> None:
    """Raise ValidationError unless `source` may be opened, saying what to do."""
    allow_source(source)


def allow_source(source: str) -> AllowedSource:
    """`source` as it may be opened now; raises ValidationError otherwise. Call it right before every opening."""
    _check_spelling(source)
    found = _SCHEME.match(source)
    scheme = found[1].lower() if found else ""
    if scheme == "street":
        return _allow_street(source)
    if scheme in _NETWORK_SCHEMES:
        return _allow_network(_split(source), _NETWORK_SCHEMES[scheme])
    if scheme:
        message = _("%(scheme)s: is not possible; use rtsp, rtsps, http, https, street, or the path of a video file.")
        raise ValidationError(message, params={"scheme": scheme})
    return _allow_file(source)


def _check_spelling(source: str) -> None:
    if not source or not source.isprintable() or source != source.strip():
        raise ValidationError(_("Give an address without spaces around it or control characters in it."))
    if "***" in source:
        raise ValidationError(_("The password in this address is masked: write it out again."))


def _split(source: str) -> SplitResult:
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if not parts.hostname or port == 0 or re.search(r"[\s\\%|]", parts.hostname):
        message = _("This address has no valid host or port; in a password write @ as %%40, : as %%3A and / as %%2F.")
        raise ValidationError(message % {})
    return parts


def _allow_network(parts: SplitResult, kind: SourceKind) -> AllowedSource:
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    addresses = resolve_host(host)
    for address in addresses:
        check_address(address, host=host)
    endpoint = Endpoint(addresses[0], parts.port or _PORTS[scheme], host, tls=scheme in {"https", "rtsps"})
    credentials, at, _rest = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    authority = f"{credentials}{at}{_bracketed(str(endpoint.address))}{port}"
    query = f"?{parts.query}" if parts.query else ""
    return AllowedSource(kind, f"{scheme}://{authority}{parts.path}{query}", f"{_bracketed(host)}{port}", endpoint)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def resolve_host(host: str) -> tuple[Address, ...]:
    """Every address of `host`, which may be a name or a number in any spelling the system reads."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ValidationError(_(UNKNOWN_HOST), params={"host": host}) from None
    texts = dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found)
    return tuple(ipaddress.ip_address(text) for text in texts)


@dataclass(frozen=True, slots=True)
class Networks:
    """Private networks that something may be in, and the setting that names them."""

    named: Sequence[IPvAnyNetwork]
    variable: str


def check_address(address: Address, *, host: str, networks: Networks | None = None) -> None:
    """Raise ValidationError unless a camera, or what `networks` are of, may be at `address`."""
    allowed = networks or Networks(settings.ENVIRONMENT.camera_networks, "ALGO_CAMERA_NETWORKS")
    for face in _faces(address):
        params = {"host": host, "address": str(face), "variable": allowed.variable}
        if face.is_multicast or _is_in(face, _NEVER):
            raise ValidationError(_(NEVER_ALLOWED), params=params)
        if not (face.is_global or _is_in(face, allowed.named)):
            raise ValidationError(_(PRIVATE_NETWORK), params=params)


def _is_in(address: Address, networks: Iterable[IPvAnyNetwork]) -> bool:
    return any(address in network for network in networks)


def _faces(address: Address) -> tuple[Address, ...]:
    """The address packets really go to: of an IPv6 address that wraps an IPv4 one, also that one."""
    if not isinstance(address, ipaddress.IPv6Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    wrapped: list[Address] = [address.sixtofour] if address.sixtofour else []
    wrapped += address.teredo or ()
    if address in _NAT64:
        wrapped.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *wrapped)


def _allow_file(source: str) -> AllowedSource:
    root = Path(settings.MEDIA_ROOT).resolve()
    inside = root if Path(source).is_absolute() else root / "videos"
    path = (root / "videos" / source).resolve()
    if not path.is_relative_to(inside):
        message = _("A video file has to be inside the media folder (ALGO_MEDIA_ROOT), best in its folder videos.")
        raise ValidationError(message)
    if not path.is_file():
        raise ValidationError(_(NO_SUCH_FILE), params={"name": source})
    return AllowedSource(SourceKind.FILE, str(path))


@dataclass(frozen=True, slots=True)
class StreetAddress:
    """What street://NAME?seed=N&fps=F asks for."""

    scene: str
    seed: int = 1
    fps: float = 25.0


def read_street(source: str) -> StreetAddress:
    """The parts of a street's address; raises ValidationError saying what is wrong."""
    parts = urlsplit(source)
    parameters = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    try:
        street = StreetAddress(parts.netloc, int(parameters.pop("seed", "1")), float(parameters.pop("fps", "25")))
    except ValueError:
        raise ValidationError(_("seed and fps of a street are numbers: street://junction?seed=1&fps=25")) from None
    if parameters or parts.path.strip("/") or not 1 <= street.fps <= 60 or street.seed < 0:
        raise ValidationError(_("A street is spelled street://junction?seed=1&fps=25, with 1 to 60 fps."))
    return street


def _allow_street(source: str) -> AllowedSource:
    from cameras.street import SCENES  # it loads OpenCV, which most processes that check addresses do without

    street = read_street(source)
    if street.scene not in SCENES:
        message = _("There is no street %(name)s; there are: %(known)s.")
        raise ValidationError(message, params={"name": street.scene, "known": ", ".join(sorted(SCENES))})
    return AllowedSource(SourceKind.STREET, source)
