"""An e-mail by the configured server, with the picture attached."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from trafficmon.notifications.addresses import check_mail, split_mail
from trafficmon.notifications.channels import Parcel, UnableToSend

if TYPE_CHECKING:
    from trafficmon.notifications.models import Destination


def send(destination: Destination, parcel: Parcel) -> None:
    """Raises UnableToSend, or ValidationError for what is no address."""
    check_mail(destination.address)
    if not settings.EMAIL_HOST:
        raise UnableToSend(_("No mail server is configured: see ALGO_EMAIL_HOST."))
    mail = EmailMessage(
        subject=" ".join(parcel.message.title.split()),
        body=parcel.message.text,
        to=split_mail(destination.address),
        headers={"Message-ID": f"<{parcel.number}@{settings.EMAIL_ID_HOST}>"},
    )
    if parcel.picture:
        mail.attach("picture.jpg", parcel.picture, "image/jpeg")
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        told = {"error": type(error).__name__}
        message = _("The mail server did not take it: %(error)s. See ALGO_EMAIL_HOST.") % told
        raise UnableToSend(message) from None
