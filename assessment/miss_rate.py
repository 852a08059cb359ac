"""How often the gate misses a danger: of the groups it left out, a random few were asked about all the same.

Sampled is what the gate holds to be calm or known. What a cooldown leaves out comes again within seconds and is asked
about then, and where assessment is reduced every call is wanted: of these nothing is sampled, and the figures say so.

Only as far back as calm frames are kept: risky ones are kept longer, and would make the share too large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q

from assessment.alert_policy import ALERTING
from assessment.models import Assessment
from assessment.risk import AssessmentStatus, SkipReason

LONGEST_HOURS = 24.0
DEVIATIONS = 1.96
"""Of a normal distribution, within which 95 % of it lie."""
SAMPLED_FROM = (SkipReason.LOW_PRIOR, SkipReason.DUPLICATE)


@dataclass(frozen=True, slots=True)
class MissRate:
    """Of `sampled` groups left out for one reason and judged by a model, `missed` were medium or high."""

    sampled: int
    missed: int

    @property
    def share(self) -> float | None:
        """None where nothing was sampled."""
        return self.missed / self.sampled if self.sampled else None

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the true share is with a certainty of 95 %."""
        return wilson_interval(self.missed, self.sampled)


def wilson_interval(hits: int, total: int, *, deviations: float = DEVIATIONS) -> tuple[float, float]:
    """Bounds of a share of which `hits` of `total` were seen; 0 and 1 where nothing was (Wilson, J. Am. Stat. Assoc.
    22, 1927)."""
    if not total:
        return 0.0, 1.0
    share, squared = hits / total, deviations**2
    middle = (share + squared / (2 * total)) / (1 + squared / total)
    half = deviations / (1 + squared / total) * math.sqrt(share * (1 - share) / total + squared / (4 * total**2))
    # At the ends rounding could leave the share itself outside.
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def measure_miss_rates(now: datetime) -> dict[SkipReason, MissRate]:
    """Of each reason for which groups are sampled; one query of those sampled within the last day at the most."""
    hours = min(LONGEST_HOURS, settings.ENVIRONMENT.frame_retention_hours)
    sampled = Assessment.objects.exclude(sampled_from="").filter(created_at__gt=now - timedelta(hours=hours))
    counted = {
        row["sampled_from"]: MissRate(row["sampled"], row["missed"])
        for row in sampled.filter(status=AssessmentStatus.DONE)
        .values("sampled_from")
        .annotate(sampled=Count("pk"), missed=Count("pk", filter=Q(risk_level__in=sorted(ALERTING))))
        .order_by()
    }
    return {reason: counted.get(reason, MissRate(0, 0)) for reason in SAMPLED_FROM}
