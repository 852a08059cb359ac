"""An analysis for programs: one JSON document and two CSV files, in UTF-8.

`analysis.json`, schema `trafficmon.analysis/1`. Names are those of the live messages; boxes are `[x1, y1, x2, y2]` in
pixels of the recording; `seconds` is the place in the recording; a level is null unless the status is `done`:

    schema, complete (bool), stopped (why, when not complete), simulated (bool), analysedAt, tookSeconds
    recording    file, width, height, codec, fps, durationSeconds, startedAt
    conditions   everySeconds, detector, confidenceThreshold, iouThreshold, distanceThresholdPx, cooldownSeconds,
                 askFromPrior, llmModel, assessed (bool)
    frames[]     frame (number from 1), seconds, timestamp, processTime, assessmentStatus, reason, maxRiskLevel,
                 detectedObjects[] (class, confidence, bbox, trackId or null),
                 trafficGroups[] (groupIndex, bbox, memberIndices, classes, averageConfidence, riskLevel)
    assessments[]  as `assessments.csv`
    alerts[]     alert (number from 1), type, riskLevel, description, riskTypes[], openedSeconds, lastSeenSeconds,
                 timesSeen, frames[] (numbers)

`detections.csv` has a line for each detected object, `assessments.csv` one for each question (`groupIndex` 0: the whole
frame). They begin with a byte order mark, by which spreadsheets know UTF-8.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trafficmon.core.clock import spell
from trafficmon.core.spreadsheet import cell
from workers.analysis.findings import AnalysedFrame, Analysis, Assessed, DerivedAlert

SCHEMA = "trafficmon.analysis/1"
DETECTION_COLUMNS = (
    *("frame", "seconds", "timestamp", "class", "confidence", "x1", "y1", "x2", "y2", "trackId", "groupIndex"),
)
ASSESSMENT_COLUMNS = (
    *("assessment", "frame", "seconds", "timestamp", "groupIndex", "status", "reason", "attempts", "riskLevel"),
    *("type", "riskTypes", "description", "confidence", "dangerObjectCount", "triggerObjectIds"),
    *("llmModel", "promptVersion", "llmLatency"),
)


def write_tables(analysis: Analysis, folder: Path) -> None:
    """Write the three files; raises OSError."""
    document = json.dumps(describe(analysis), ensure_ascii=False, indent=1)
    (folder / "analysis.json").write_text(document + "\n", encoding="utf-8")
    _write_csv(folder / "detections.csv", DETECTION_COLUMNS, _detection_rows(analysis))
    rows = (_assessment(each, analysis) for each in analysis.assessed)
    _write_csv(folder / "assessments.csv", ASSESSMENT_COLUMNS, rows)


def describe(analysis: Analysis) -> dict[str, Any]:
    """The JSON document."""
    recording, conditions = analysis.recording, analysis.conditions
    return {
        "schema": SCHEMA,
        "complete": not analysis.stopped,
        "stopped": analysis.stopped,
        "simulated": conditions.simulated,
        "analysedAt": spell(analysis.analysed_at),
        "tookSeconds": round(analysis.took_seconds, 3),
        "recording": {
            "file": recording.name,
            "width": recording.width,
            "height": recording.height,
            "codec": recording.codec,
            "fps": round(recording.fps, 3),
            "durationSeconds": round(recording.duration_seconds, 3),
            "startedAt": spell(recording.started_at),
        },
        "conditions": {
            "everySeconds": conditions.every_seconds,
            "detector": conditions.detector,
            "confidenceThreshold": conditions.confidence_threshold,
            "iouThreshold": conditions.iou_threshold,
            "distanceThresholdPx": conditions.distance_threshold_px,
            "cooldownSeconds": conditions.cooldown_seconds,
            "askFromPrior": conditions.ask_from,
            "llmModel": conditions.llm_model,
            "assessed": conditions.asks,
        },
        "frames": [_frame(each) for each in analysis.frames],
        "assessments": [_assessment(each, analysis) for each in analysis.assessed],
        "alerts": [_alert(each) for each in analysis.alerts],
    }


def _frame(each: AnalysedFrame) -> dict[str, Any]:
    outcome = each.outcome
    return {
        "frame": each.number,
        "seconds": round(each.seconds, 3),
        "timestamp": spell(each.frame.captured_at),
        "processTime": round(each.frame.process_seconds, 4),
        "assessmentStatus": outcome.status.value,
        "reason": each.reason,
        "maxRiskLevel": outcome.level.value if outcome.status == "done" else None,
        "detectedObjects": [
            {
                "class": one.object_class.value,
                "confidence": round(one.confidence, 3),
                "bbox": list(one.box.rounded()),
                "trackId": one.track_id,
            }
            for one in each.frame.detections
        ],
        "trafficGroups": [
            {
                "groupIndex": group.index,
                "bbox": list(group.box.rounded()),
                "memberIndices": list(group.members),
                "classes": [name.value for name in group.classes],
                "averageConfidence": round(group.average_confidence, 3),
                "riskLevel": each.level_of(group.index),
            }
            for group in each.frame.groups
        ],
    }


def _assessment(each: Assessed, analysis: Analysis) -> dict[str, Any]:
    told = {
        "assessment": each.number,
        "frame": each.frame_number,
        "seconds": round(each.seconds, 3),
        "timestamp": spell(analysis.recording.moment(each.seconds)),
        "groupIndex": each.group_index,
        "status": each.status.value,
        "reason": each.reason,
        "attempts": each.attempts,
    }
    if each.judgement is None:
        return {name: told.get(name) for name in ASSESSMENT_COLUMNS}
    verdict, answer = each.judgement.verdict, each.judgement.answer
    return {
        **told,
        "riskLevel": verdict.level.value,
        "type": verdict.type.value,
        "riskTypes": list(verdict.risk_types),
        "description": verdict.description,
        "confidence": round(verdict.confidence, 3),
        "dangerObjectCount": verdict.danger_object_count,
        "triggerObjectIds": list(verdict.trigger_object_ids),
        "llmModel": answer.model,
        "promptVersion": each.judgement.prompt_version,
        "llmLatency": round(answer.seconds, 3),
    }


def _alert(each: DerivedAlert) -> dict[str, Any]:
    return {
        "alert": each.number,
        "type": each.risk_type.value,
        "riskLevel": each.level.value,
        "description": each.description,
        "riskTypes": list(each.risk_types),
        "openedSeconds": round(each.opened_seconds, 3),
        "lastSeenSeconds": round(each.last_seen_seconds, 3),
        "timesSeen": each.times_seen,
        "frames": list(each.frame_numbers),
    }


def _detection_rows(analysis: Analysis) -> Iterator[Mapping[str, Any]]:
    for each in analysis.frames:
        group_of = {member: group.index for group in each.frame.groups for member in group.members}
        for index, one in enumerate(each.frame.detections):
            corners = dict(zip(("x1", "y1", "x2", "y2"), one.box.rounded(), strict=True))
            yield {
                "frame": each.number,
                "seconds": round(each.seconds, 3),
                "timestamp": spell(each.frame.captured_at),
                "class": one.object_class.value,
                "confidence": round(one.confidence, 3),
                **corners,
                "trackId": one.track_id,
                "groupIndex": group_of.get(index),
            }


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterator[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
