"""What became of each traffic group of a frame, in words for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from assessment.models import PRIOR_CHOICES, SKIP_CHOICES, Assessment, FrameResult
from assessment.risk import WHOLE_FRAME, AssessmentStatus
from assessment.unasked import Unasked, unasked_of

_SKIP_WORDS = dict(SKIP_CHOICES)
_PRIOR_WORDS = dict(PRIOR_CHOICES)


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One group, what became of it, and how dangerous it looked by geometry."""

    group_index: int
    outcome: str
    by_geometry: str

    @property
    def name(self) -> str:
        return str(self.group_index) if self.group_index != WHOLE_FRAME else _("whole picture")


def outcomes_of(row: FrameResult) -> list[GroupOutcome]:
    """Of all that were judged, asked about or left out, by their numbers; one query."""
    return sorted(_found(row), key=lambda each: each.group_index)


def _found(row: FrameResult) -> Iterator[GroupOutcome]:
    for asked in row.assessments.all():
        yield GroupOutcome(asked.group_index, _outcome(asked), _by_geometry(asked.prior, asked.prior_reason))
    for each in unasked_of(row):
        yield GroupOutcome(each.group_index, _why(each), _by_geometry(each.prior, each.prior_reason))


def _outcome(asked: Assessment) -> str:
    if asked.status != AssessmentStatus.DONE:
        return str(asked.get_status_display())
    words = {"level": asked.get_risk_level_display(), "whose": asked.get_judged_by_display()}
    told = _("%(level)s (judged by: %(whose)s)") % words
    return f"{told}, {_('sampled')}" if asked.sampled_from else told


def _why(each: Unasked) -> str:
    return _("not asked: %s") % _SKIP_WORDS[each.reason]


def _by_geometry(prior: float | None, reason: str) -> str:
    if prior is None:
        return "–"
    return f"{prior:.2f}, {_PRIOR_WORDS[reason]}" if reason else f"{prior:.2f}"
