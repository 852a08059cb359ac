"""Analyse one recorded file as the fleet would, without the fleet, and write a report about it.

Needs no Redis, no queue and no database. Where Redis answers, the accounts of the pool in the database are asked,
whatever their provider, or else DASHSCOPE_API_KEY, within their limits; where it does not, the first usable key. Time
is the recording's own: the cooldown between assessments and the life of alerts are counted in it, so the report does
not depend on how fast the machine is.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from assessment.prompt import UnusablePrompt
from detection.detector import DetectorError
from workers.analysis.analyse import Plan, Progress, analyse
from workers.analysis.findings import Analysis
from workers.analysis.preparing import CannotAnalyseError, Wishes, prepare_folder, prepared, read_start
from workers.analysis.progress import ProgressLine
from workers.analysis.recording import RecordingUnusableError
from workers.analysis.report import write_report
from workers.analysis.tables import write_tables

PARTIAL_STATUS = 3
"""A report was written, but not of the whole recording."""
INTERRUPTED_STATUS = 130


class Command(BaseCommand):
    """`manage.py analyze VIDEO`"""

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("video", type=Path, help="a video file")
        parser.add_argument("--out", type=Path, help="folder of the report (default: the video's name and -report)")
        parser.add_argument(
            *("--every",),
            type=positive,
            metavar="SECONDS",
            help="between analysed frames (default: ALGO_FRAME_INTERVAL, at most 0.5, less for a clip under 20 s)",
        )
        parser.add_argument("--limit", type=positive, metavar="SECONDS", help="analyse no more than so much of it")
        parser.add_argument(
            *("--cooldown",),
            type=positive,
            metavar="SECONDS",
            help="between assessed frames (default: llm.cooldown_seconds of model_config.yaml)",
        )
        parser.add_argument("--start", help="when it was recorded (default: when the file was last written)")
        parser.add_argument("--weights", help="weights of the detector (default: model.name of model_config.yaml)")
        asking = parser.add_mutually_exclusive_group()
        asking.add_argument("--no-assess", action="store_true", help="detect only, ask no model")
        asking.add_argument("--simulate", action="store_true", help="let the bundled simulator answer")

    def handle(self, *_args: Any, **options: Any) -> None:
        video = options["video"]
        folder = options["out"] or Path(f"{video.stem}-report")
        try:
            with nullcontext() if options["verbosity"] > 1 else quiet_log():
                analysis = self._analyse(_wishes(options), folder)
            write_tables(analysis, folder)
            report = write_report(analysis, folder)
        except (CannotAnalyseError, RecordingUnusableError, DetectorError, UnusablePrompt) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            reason = {"path": folder, "reason": error.strerror}
            raise CommandError(_("The report cannot be written to %(path)s: %(reason)s.") % reason) from None
        except KeyboardInterrupt:
            raise CommandError(_("Stopped; no report was written."), returncode=INTERRUPTED_STATUS) from None
        self._conclude(analysis, report)

    def _analyse(self, wishes: Wishes, folder: Path) -> Analysis:
        with prepared(wishes) as plan:
            prepare_folder(folder)
            self.stdout.write(describe(plan))
            line = ProgressLine(sys.stdout, total_seconds=min(plan.recording.duration_seconds, plan.limit_seconds))
            warned: set[str] = set()

            def show(progress: Progress) -> None:
                if "no_key" in progress.failures - warned:
                    warned.add("no_key")
                    line.clear()
                    self.stderr.write(_("No API key is configured: assessments fail. Set DASHSCOPE_API_KEY."))
                line.show(progress)

            analysis = analyse(plan, show)
            line.clear()
            return analysis

    def _conclude(self, analysis: Analysis, report: Path) -> None:
        done = sum(each.level is not None for each in analysis.assessed)
        self.stdout.write(
            _("Frames: %(frames)d. Assessments answered: %(done)d of %(asked)d. Alerts: %(alerts)d. Took %(took)s s.")
            % {
                "frames": len(analysis.frames),
                "done": done,
                "asked": len(analysis.assessed),
                "alerts": len(analysis.alerts),
                "took": f"{analysis.took_seconds:.1f}",
            }
        )
        if analysis.stopped:
            self.stderr.write(_("The report is partial: %(reason)s") % {"reason": analysis.stopped})
        self.stdout.write(_("Report: %(path)s") % {"path": report})
        if analysis.stopped:
            sys.exit(PARTIAL_STATUS)


@contextmanager
def quiet_log() -> Iterator[None]:
    """Hold back what the fleet would log: here the report tells it, and the progress line is not torn."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _wishes(options: dict[str, Any]) -> Wishes:
    return Wishes(
        path=options["video"],
        every_seconds=options["every"],
        limit_seconds=options["limit"],
        cooldown_seconds=options["cooldown"],
        started_at=read_start(options["start"]) if options["start"] else None,
        weights=options["weights"],
        asks=not options["no_assess"],
        simulate=options["simulate"],
    )


def describe(plan: Plan) -> str:
    """What is about to happen, in one line."""
    conditions = plan.conditions
    asked = conditions.llm_model if conditions.asks else _("no assessment")
    if conditions.simulated:
        asked += ", " + _("simulated")
    return _("%(name)s: a frame every %(every)s s, detected by %(detector)s, assessed by %(model)s.") % {
        "name": plan.recording.name,
        "every": f"{conditions.every_seconds:g}",
        "detector": conditions.detector,
        "model": asked,
    }


def positive(text: str) -> float:
    """Seconds above 0."""
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        message = f"{text} is not above 0"
        raise argparse.ArgumentTypeError(message)
    return seconds
