"""Run the whole fleet on this machine with simulated streets and a simulated model."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from trafficmon.core.redis_server import RedisUnavailableError, start_redis
from workers.demo import demo_environment, demo_processes, prepare_database
from workers.runtime import CannotStartError, check_disk, check_port, free_port, run_together
from workers.surroundings import check_services


class Command(BaseCommand):
    """`manage.py demo`"""

    help = __doc__ or ""

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            self._run()
        except (CannotStartError, RedisUnavailableError) as error:
            raise CommandError(str(error)) from None

    def _run(self) -> None:
        if not settings.DEMO:
            raise CannotStartError("Start the demo with: make demo (it sets ALGO_DEMO=1).")
        environment = settings.ENVIRONMENT
        check_port(environment.server_host, environment.server_port, setting="ALGO_SERVER_PORT")
        check_port("127.0.0.1", environment.flower_port, setting="ALGO_FLOWER_PORT")
        for folder in (settings.RUN_DIR, settings.MEDIA_ROOT):
            check_disk(folder)
        check_services(environment)
        self.stdout.write("Preparing the database ...")
        call_command("migrate", verbosity=0)
        password = os.environ.get("DEMO_PASSWORD") or settings.DEMO_OPERATOR_PASSWORD
        prepare_database(password)
        metrics_dir = settings.RUN_DIR / "metrics"
        shutil.rmtree(metrics_dir, ignore_errors=True)
        metrics_dir.mkdir()
        server = None if environment.redis_url else start_redis(settings.RUN_DIR)
        simulator_port = free_port()
        address = f"http://127.0.0.1:{environment.server_port}"
        own = "your own" if environment.flower_password.get_secret_value() else "the same"
        flower = f"Flower: http://127.0.0.1:{environment.flower_port}  user: flower  password: {own}"
        ready = f"Ready: {address}  user: operator  password: {password}  (Ctrl-C stops everything)\n{flower}"
        told = demo_environment(simulator_port, password)
        try:
            status = run_together(demo_processes(simulator_port), told, ready=ready)
        finally:
            if server:
                server.stop()
        sys.exit(status)
