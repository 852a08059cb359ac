"""Why a source gives no pictures, in an operator's words and without its password."""

from __future__ import annotations

import errno
import ssl

import av
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from cameras.wording import NOT_REACHED


class UnableToOpen(Exception):
    """The source cannot be opened; the message tells an operator why and never holds a password."""


class UnableToRead(Exception):
    """The open source gives no more pictures; the message tells an operator why."""


_SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (av.HTTPUnauthorizedError, gettext_noop("The camera refuses this user name or password.")),
    (av.HTTPForbiddenError, gettext_noop("The camera forbids access to this stream.")),
    (av.HTTPNotFoundError, gettext_noop("The camera has no stream under this path.")),
    (av.HTTPError, gettext_noop("The camera answered with an error, or leads to another address.")),
    (av.HTTPClientError, gettext_noop("The camera answered with an error, or leads to another address.")),
    (
        ssl.SSLCertVerificationError,
        gettext_noop(
            "The camera's certificate is not trusted: give the name it was made out to, let the system trust its"
            " issuer, or set ALGO_CAMERA_TLS_VERIFY to false."
        ),
    ),
    (ssl.SSLError, gettext_noop("The camera speaks no TLS at this port: use rtsp or http.")),
    (ConnectionRefusedError, gettext_noop("Nothing listens at this address and port.")),
    (ConnectionError, gettext_noop("The camera broke the connection.")),
    (TimeoutError, gettext_noop("The camera did not answer in time.")),
    (av.ExitError, gettext_noop("The camera did not answer in time.")),
    (FileNotFoundError, gettext_noop("The file does not exist.")),
    (PermissionError, gettext_noop("The system forbids this connection or file.")),
    (ValueError, gettext_noop("What is there is not video in a form that is allowed.")),
    (EOFError, gettext_noop("The stream ended before its first picture.")),
)


def explain(error: BaseException) -> str:
    """A sentence for an operator. FFmpeg's own text is left out: it may quote the address with its password."""
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return _(sentence)
    number = getattr(error, "errno", None)
    if number == errno.EIO:
        return _("The camera answered with an error, or leads to another address.")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return _(NOT_REACHED) % {"reason": reason, "number": number}
