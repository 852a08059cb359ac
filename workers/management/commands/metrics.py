"""Serve the metrics of this host's processes to Prometheus, until told to stop."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from workers.exporter import begin_at_zero, make_exporter


class Command(BaseCommand):
    """`manage.py metrics`"""

    help = __doc__ or ""

    def handle(self, *_args: Any, **_options: Any) -> None:
        environment = settings.ENVIRONMENT
        host, port = environment.metrics_host, environment.metrics_port
        signal.signal(signal.SIGTERM, _leave)
        begin_at_zero()
        with make_exporter(host, port, token=environment.metrics_token.get_secret_value()) as server:
            self.stdout.write(f"Metrics: http://{host}:{port}/metrics")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
