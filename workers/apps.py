from django.apps import AppConfig
from django.conf import settings


class WorkersConfig(AppConfig):
    name = "workers"

    def ready(self) -> None:
        # Without the application, tasks would be sent to Celery's default broker; the metrics connect to its signals.
        from trafficmon import celery  # noqa: F401
        from trafficmon.core.metrics import system
        from workers import metrics  # noqa: F401

        system.labels(settings.VERSION).set(1)
