"""Workers that are killed at every point of a question's way, under load."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assessment.models import Assessment
from tests.faults.dying_worker import POINTS, Note
from tests.faults.offer import offering
from tests.faults.outcomes import ended_at, is_open, outcomes_since
from tests.faults.stage import PER_SECOND, Stage, wait_for
from trafficmon.core.clock import utc_now

DEATHS = "workers that die"
"""The scenario's name."""
AT_ONCE = 4
DYING_SECONDS = 120.0


def measure_deaths(stage: Stage) -> dict[str, Any]:
    """Kill a worker at each point; what became of the question that it had in its hand, and of all the others."""
    stage.calm()
    before, began = stage.requests(), utc_now()
    notes = {point: stage.folder / f"{point.replace(' ', '-')}.note" for point in POINTS}
    for note in notes.values():
        note.unlink(missing_ok=True)
    with offering(stage.cameras, per_second=PER_SECOND):
        for start in range(0, len(POINTS), AT_ONCE):
            _die(stage, [(point, notes[point]) for point in POINTS[start : start + AT_ONCE]])
    wait_for(lambda: not is_open(), seconds=stage.terms.patience_seconds + 20)
    found, made = outcomes_since(began), stage.requests() - before
    return {
        "fault": DEATHS,
        "points": {point: _told(note) for point, note in notes.items()},
        "requests": dict(made),
        "second_calls": made.total() - found.asked,
        "outcomes": asdict(found),
    }


def _die(stage: Stage, deaths: list[tuple[str, Path]]) -> None:
    """Start a worker for each, and wait until all are dead."""
    fleet = stage.around.fleet
    for point, note in deaths:
        command = [sys.executable, "-m", "tests.faults.dying_worker", point, str(note)]
        fleet.start("dying", command, stage.folder / "dying.log")
    wait_for(lambda: all(note.exists() for _point, note in deaths), seconds=DYING_SECONDS)
    for _death in deaths:
        fleet.kill("dying")


def _told(note: Path) -> dict[str, Any]:
    """Whether the worker died there, when its question got its outcome, and whether it had to be asked twice."""
    if not note.exists():
        return {"died": False}
    last = Note(**json.loads(note.read_text()))
    if last.question is None:
        return {"died": True, "status": "", "second_call": False}
    died_at, outcome_at = datetime.fromtimestamp(last.died_at, UTC), ended_at(last.question)
    was_open = outcome_at is None or outcome_at > died_at
    return {
        "died": True,
        "status": Assessment.objects.values_list("status", flat=True).get(pk=last.question),
        "second_call": last.sent and was_open,
        "answered_after_seconds": round((outcome_at - died_at).total_seconds(), 1) if outcome_at and was_open else 0.0,
    }
