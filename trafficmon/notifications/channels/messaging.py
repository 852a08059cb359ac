"""Any of the messaging services that Apprise knows and we let it reach."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from trafficmon.notifications.addresses import allow_service
from trafficmon.notifications.channels import Parcel, UnableToSend

if TYPE_CHECKING:
    from trafficmon.notifications.models import Destination

# What it logs has addresses in it, which are secrets.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


def send(destination: Destination, parcel: Parcel) -> None:
    """Raises UnableToSend, or ValidationError where the address may not be used."""
    from apprise import Apprise  # it reads a hundred plugins

    service = Apprise(allow_service(destination.address))
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        if parcel.picture:
            picture.write_bytes(parcel.picture)
        message, attached = parcel.message, str(picture) if parcel.picture else None
        if not service.notify(title=message.title, body=message.text, attach=attached):
            raise UnableToSend(_("The service did not take it: check what its address needs."))
