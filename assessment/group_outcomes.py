"""What became of each traffic group of a frame, in words for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment.models import PRIOR_CHOICES, SKIP_CHOICES, Assessment, FrameResult
from assessment.risk import WHOLE_FRAME, AssessmentStatus
from assessment.unasked import Unasked, unasked_of

_SKIP_WORDS = dict(SKIP_CHOICES)
_PRIOR_WORDS = dict(PRIOR_CHOICES)


_FAILURE_WORDS = {
    "deadline passed": gettext_lazy("no answer came before its deadline"),
    "no time left for an answer": gettext_lazy("too little time was left for an answer"),
    "deadline": gettext_lazy("no key had room for it before its deadline"),
    "picture_gone": gettext_lazy("its picture was no longer kept when its turn came"),
    "worker_lost": gettext_lazy("the workers that took it died"),
    "limiter_unreachable": gettext_lazy("Redis, which gives out the calls, did not answer"),
    "rate_limited": gettext_lazy("the provider refused it: too many requests"),
    "burst_limited": gettext_lazy("the provider refused it: requests grew too fast"),
    "token_limited": gettext_lazy("the provider refused it: too many tokens"),
    "billing": gettext_lazy("the provider refused the key: the account is not paid"),
    "revoked": gettext_lazy("the provider refused the key: it is not valid"),
    "forbidden": gettext_lazy("the provider refused the key: it has no right to the model"),
    "no_key": gettext_lazy("no API key could be used"),
    "blocked": gettext_lazy("the provider refused the picture or the words"),
    "bad_request": gettext_lazy("the provider refused the question as malformed"),
    "overloaded": gettext_lazy("the provider was overloaded"),
    "timeout": gettext_lazy("the model took too long"),
    "unreachable": gettext_lazy("the provider could not be reached"),
    "provider_error": gettext_lazy("the provider failed"),
    "empty_response": gettext_lazy("the model answered with nothing"),
    "unreadable_answer": gettext_lazy("the model's answer could not be read"),
}


def why_unanswered(asked: Assessment) -> str:
    """Why a question has no answer; a reason of a later version as it is kept."""
    return str(_FAILURE_WORDS.get(asked.reason, asked.reason or asked.get_status_display()))


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


def left_out_of(row: FrameResult) -> list[GroupOutcome]:
    """Of those groups alone that nobody was asked about; no query."""
    return [
        GroupOutcome(each.group_index, _why(each), spell_prior(each.prior, each.prior_reason))
        for each in unasked_of(row)
    ]


def _found(row: FrameResult) -> Iterator[GroupOutcome]:
    for asked in row.assessments.all():
        yield GroupOutcome(asked.group_index, _outcome(asked), spell_prior(asked.prior, asked.prior_reason))
    yield from left_out_of(row)


def _outcome(asked: Assessment) -> str:
    if asked.status == AssessmentStatus.PENDING:
        return str(asked.get_status_display())
    if asked.status != AssessmentStatus.DONE:
        return f"{asked.get_status_display()}: {why_unanswered(asked)}"
    words = {"level": asked.get_risk_level_display(), "whose": asked.get_judged_by_display()}
    told = _("%(level)s (judged by: %(whose)s)") % words
    return f"{told}, {_('sampled')}" if asked.sampled_from else told


def _why(each: Unasked) -> str:
    return _("not asked: %s") % _SKIP_WORDS[each.reason]


def spell_prior(prior: float | None, reason: str) -> str:
    """How dangerous a group looked by geometry, and why."""
    if prior is None:
        return "–"
    return f"{prior:.2f}, {_PRIOR_WORDS[reason]}" if reason else f"{prior:.2f}"
