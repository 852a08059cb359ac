"""The Celery application: queues, delivery guarantees and the schedule.

Workers take their work from here: `celery -A trafficmon worker -Q detect -P threads -c 2`.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trafficmon.settings")

app = Celery("trafficmon", set_as_current=True)
app.config_from_object("django.conf:settings", namespace="CELERY")
# By itself it opens a connection to the database for each task; ours are kept, and checked before each task.
app.conf.update(CELERY_DB_REUSE_MAX=1_000_000_000)
app.autodiscover_tasks(["workers"])


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Workers log as every other process does: being connected here keeps Celery from configuring its own."""
