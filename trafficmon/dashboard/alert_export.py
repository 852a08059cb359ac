"""A selection of alerts as a ZIP: for each a folder with its pictures and all that is known of it as JSON.

It is sent while it is made: no more than one picture is held at a time.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Prefetch
from django.http import StreamingHttpResponse

from assessment.models import Alert, AlertEvent, AlertJudgement, Assessment, Evidence
from trafficmon.core.clock import spell, utc_now
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange, AlertMessage, AssessmentResult, DetectionResult, Part
from trafficmon.live.publish import supported_classes

MOST_EXPORTED = 200
MOST_BYTES = 300_000_000
"""Of pictures in one ZIP; what is beyond is left out, and the JSON of its alert says so."""
TOO_LARGE, MISSING = "the export has reached its greatest size", "the file is gone"


class ExportedPicture(Part):
    """A picture of an alert; without a file where it was left out."""

    kind: str
    number: int
    sha256: str
    file: str | None = None
    left_out_because: str | None = None


class ExportedEvent(Part):
    """One thing that happened to an alert."""

    kind: str
    at: str
    by: str
    risk_level: str
    words: str


class ExportedJudgement(Part):
    """What somebody said of an alert."""

    by: str | None
    truth: str
    right_level: str
    judged_at: str


class ExportedReason(Part):
    """How the verdict came about, beyond what browsers are told."""

    judged_by: str
    model: str
    prompt_version: str
    prior: float | None
    prior_reason: str
    model_seconds: float | None
    asked_at: str
    ended_at: str | None
    input_tokens: int
    output_tokens: int


class ExportedAlert(Part):
    """All that is known of an alert, in the words of the WebSocket where it has some."""

    alert: AlertMessage
    assigned_to: str | None
    frame: DetectionResult | None
    verdict: AssessmentResult | None
    reason: ExportedReason | None
    timeline: tuple[ExportedEvent, ...]
    judgements: tuple[ExportedJudgement, ...]
    pictures: tuple[ExportedPicture, ...] = ()


@dataclass(slots=True)
class _Stream:
    """Where the ZIP is written to, and taken from piece by piece. It cannot be sought in: `zipfile` knows by that."""

    pieces: list[bytes] = field(default_factory=list)

    def write(self, piece: bytes) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def export(alert_ids: Sequence[int]) -> StreamingHttpResponse:
    """The answer that downloads them. What the database knows is read before it begins."""
    written = [(alert, _exported(alert)) for alert in _read(alert_ids)]
    name = f"alerts-{utc_now():%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(_zipped(written), content_type="application/zip", headers=headers)


def _read(alert_ids: Sequence[int]) -> Iterable[Alert]:
    rows = Alert.objects.filter(pk__in=alert_ids).order_by("pk")
    loaded = rows.select_related("camera", "acknowledged_by", "assigned_to", "assessment__frame_result")
    pictures = Prefetch("assessment__evidence", queryset=Evidence.objects.order_by("pk"))
    return loaded.prefetch_related("events", "judgements__judge", pictures)


def _exported(alert: Alert) -> ExportedAlert:
    verdict = alert.assessment
    frame = verdict.frame_result if verdict else None
    asked = [verdict] if verdict else []
    return ExportedAlert(
        alert=compose.alert_message(alert, change=AlertChange.UPDATED, now=utc_now(), replayed=True),
        assigned_to=alert.assigned_to.get_username() if alert.assigned_to else None,
        frame=compose.detection_result(frame, asked, supported=supported_classes()) if frame else None,
        verdict=compose.assessment_result(frame, asked) if frame else None,
        reason=_reason(verdict) if verdict else None,
        timeline=tuple(map(_event, alert.events.all())),
        judgements=tuple(map(_judgement, alert.judgements.all())),
    )


def _event(event: AlertEvent) -> ExportedEvent:
    return ExportedEvent(
        kind=event.kind, at=spell(event.at), by=event.by_name, risk_level=event.risk_level, words=event.words
    )


def _judgement(judgement: AlertJudgement) -> ExportedJudgement:
    return ExportedJudgement(
        by=judgement.judge.get_username() if judgement.judge else None,
        truth=judgement.truth,
        right_level=judgement.right_level,
        judged_at=spell(judgement.judged_at),
    )


def _reason(verdict: Assessment) -> ExportedReason:
    return ExportedReason(
        judged_by=verdict.judged_by,
        model=verdict.llm_model,
        prompt_version=verdict.prompt_version,
        prior=verdict.prior,
        prior_reason=verdict.prior_reason,
        model_seconds=verdict.llm_seconds,
        asked_at=spell(verdict.created_at),
        ended_at=spell(verdict.ended_at) if verdict.ended_at else None,
        input_tokens=verdict.input_tokens,
        output_tokens=verdict.output_tokens,
    )


async def _zipped(written: Sequence[tuple[Alert, ExportedAlert]]) -> AsyncIterator[bytes]:
    stream = _Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # all that it needs
        parcel = _Parcel(archive)
        for alert, told in written:
            pictures = []
            for row in alert.assessment.evidence.all() if alert.assessment else ():
                pictures.append(await parcel.add_picture(alert, row))
                yield stream.take()
            parcel.add_text(alert, told.model_copy(update={"pictures": tuple(pictures)}))
            yield stream.take()
    yield stream.take()


@dataclass(slots=True)
class _Parcel:
    """The ZIP, and how many bytes of pictures may still go into it."""

    archive: zipfile.ZipFile
    left: int = field(default_factory=lambda: MOST_BYTES)

    async def add_picture(self, alert: Alert, row: Evidence) -> ExportedPicture:
        jpeg = await asyncio.to_thread(_picture, row)
        told = ExportedPicture(kind=row.kind, number=row.number, sha256=row.sha256)
        if jpeg is None:
            return told.model_copy(update={"left_out_because": MISSING})
        if len(jpeg) > self.left:
            return told.model_copy(update={"left_out_because": TOO_LARGE})
        self.left -= len(jpeg)
        name = f"{row.kind}{row.number or ''}.jpg"
        self.archive.writestr(f"{_folder(alert)}/{name}", jpeg)
        return told.model_copy(update={"file": name})

    def add_text(self, alert: Alert, told: ExportedAlert) -> None:
        text = told.model_dump_json(by_alias=True, indent=2)
        self.archive.writestr(f"{_folder(alert)}/alert.json", text, zipfile.ZIP_DEFLATED)


def _folder(alert: Alert) -> str:
    return f"alert-{alert.pk}"


def _picture(row: Evidence) -> bytes | None:
    """None where it cannot be read any more."""
    try:
        with row.picture.open("rb") as file:
            jpeg: bytes = file.read()
    except OSError:
        return None
    return jpeg
