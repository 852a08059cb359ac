"""Questions that were given up: list them, send them again, or drop them, one or many at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from assessment.dead_letters import Chosen, drop, send_again, waiting
from trafficmon.accounts import audit
from trafficmon.core.clock import spell, utc_now
from workers.pipeline import WakeUp
from workers.queues import Queue
from workers.tasks import send_wake_up


class Command(BaseCommand):
    """`manage.py dead_letters list|send_again|drop [ids] [--reason R] [--camera N] [--older-than-minutes M] [--all]`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("list", "send_again", "drop"))
        parser.add_argument("ids", nargs="*", type=int, help="of dead letters; without: all that the filters leave")
        parser.add_argument("--reason", default="", help="such as timeout")
        parser.add_argument("--camera", type=int, help="its number")
        parser.add_argument("--older-than-minutes", type=float)
        parser.add_argument("--all", action="store_true", help="whatever waits, where no id and no filter says which")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Raises CommandError where nothing says which are to be sent again or dropped."""
        now = utc_now()
        chosen = _chosen(options, now)
        if action == "list":
            self._list(chosen)
        elif chosen == Chosen() and not options["all"]:
            raise CommandError("Name ids, a reason, a camera or an age; or say --all.")
        elif action == "drop":
            dropped = drop(chosen, now=now)
            audit.record(None, "deadletter.drop", count=dropped)
            self.stdout.write(f"{dropped} dropped.")
        else:
            patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
            again = send_again(chosen, now=now, patience=patience)
            for assessment_id in again:
                send_wake_up(WakeUp(Queue.ASSESS, assessment_id))
            audit.record(None, "deadletter.send_again", assessments=again)
            self.stdout.write(f"{len(again)} sent again.")

    def _list(self, chosen: Chosen) -> None:
        letters = waiting(chosen).select_related("assessment__camera")
        for each in letters[:1000]:
            camera = each.assessment.camera
            self.stdout.write(
                f"{each.pk}\t{spell(each.died_at)}\t{camera.pk} {camera.name}\t{each.reason}\t{each.detail}"
            )
        self.stdout.write(f"{letters.count()} waiting.")


def _chosen(options: dict[str, Any], now: datetime) -> Chosen:
    age = options["older_than_minutes"]
    before = None if age is None else now - timedelta(minutes=age)
    return Chosen(tuple(options["ids"]) or None, options["reason"], options["camera"], before)
