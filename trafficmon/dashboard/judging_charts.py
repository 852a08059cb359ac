"""What the page "How well does it judge" tells: figures of the whole period, and charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment.day_reading import Spent
from assessment.hour_reading import Crossed, Span
from assessment.judged import Judged
from assessment.miss_rate import wilson_interval
from assessment.models import LEVEL_CHOICES, SKIP_CHOICES, Truth
from assessment.models.counts import DIRECTION_CHOICES
from assessment.risk import RiskLevel
from assessment.tally import LEFT_OUT_BY_REASON, Count, Tally, add_up, quantile
from cameras.class_words import CLASS_WORDS
from trafficmon.core.objects import ROAD_USERS
from trafficmon.dashboard.charts import PRECISION, Card, Chart, Column, Value, precision_row, spell_decimal
from trafficmon.dashboard.judging_period import Period

CAMERAS_DRAWN = 25
DAY_HOURS = range(24)
_ALARMING = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)
_CLASS_COLOURS = ("accent", "none", "medium", "high", "low", "unknown", "muted")
_CLASSES = sorted(ROAD_USERS)
_BY_CLASS = [Column(CLASS_WORDS[each], "bar", colour) for each, colour in zip(_CLASSES, _CLASS_COLOURS, strict=False)]
_BY_WAY = [
    Column(words, "bar", colour) for (_way, words), colour in zip(DIRECTION_CHOICES, ("accent", "low"), strict=True)
]
SPENT = (
    Column(gettext_lazy("Cost"), "bar", form="money"),
    Column(gettext_lazy("Calls")),
    Column(gettext_lazy("Failed calls")),
)


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of the period: `parts` are its hours or days."""

    period: Period
    judged: Judged
    parts: Mapping[str, Span]
    spent: Mapping[str, Spent]
    camera_names: Mapping[int | None, str]

    @property
    def together(self) -> Tally:
        return add_up(each.tally for each in self.parts.values())


def gather(spans: Iterable[Span], period: Period) -> dict[str, Span]:
    """Hours or days added up by the part of the period in which they began."""
    parts: dict[str, Span] = {}
    for each in spans:
        part = parts.setdefault(period.name_of(each.at), Span(each.at))
        part.tally.add(each.tally)
        part.crossings.update(each.crossings)
    return parts


def cards_of(known: Known) -> list[Card]:
    """The period in a few figures."""
    tally, judged = known.together, known.judged.together
    counts, true = tally.counts, judged.truths[Truth.TRUE]
    unanswered = counts[Count.FAILED] + counts[Count.EXPIRED]
    left_out = sum(counts[each] for each in LEFT_OUT_BY_REASON.values())
    asked = counts[Count.ANSWERED] + unanswered
    groups = asked + counts[Count.REUSED] + counts[Count.GUESSED] + left_out
    money = sum((each[0] for each in known.spent.values()), Decimal(0))
    return [
        _share_card(_("Precision"), true, judged.judged, _("of judged alerts were true")),
        _share_card(_("Right level"), judged.exact, true, _("of true alerts had the right level")),
        Card(_("Answers take"), _seconds(quantile(tally.steps, 0.5)), _told_most(tally)),
        _share_card(_("Without an answer"), unanswered, asked, _("of questions failed or expired"), interval=False),
        _share_card(_("Asked about"), asked, groups, _("of traffic groups; others: see the gate"), interval=False),
        _share_card(_("Missed by the gate"), counts[Count.MISSED], counts[Count.SAMPLED], _sampled()),
        Card(_("Cost"), spell_decimal(money, 2), _per_day(money, known.period)),
    ]


def _sampled() -> str:
    """What the share of the missed is of, and what it says nothing of."""
    return _("of samples were dangers; what a cooldown or a reduced level leaves out is not sampled")


def _share_card(name: str, hits: int, total: int, words: str, *, interval: bool = True) -> Card:
    if not total:
        return Card(name, "–", _("nothing to tell it from"))
    low, high = wilson_interval(hits, total)
    percent = f"{spell_decimal(100 * hits / total, 1)} %"
    of = _("%(hits)s of %(total)s") % {"hits": _whole(hits), "total": _whole(total)}
    within = [f"{spell_decimal(100 * low, 1)} – {spell_decimal(100 * high, 1)} %"] if interval else []
    return Card(name, percent, words, [of, *within])


def _told_most(tally: Tally) -> str:
    return _("median; 95 of 100 within %s") % _seconds(quantile(tally.steps, 0.95)) if tally.steps else ""


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{spell_decimal(value, 2)} s"


def _whole(value: int) -> str:
    return number_format(value, force_grouping=True)


def _per_day(money: Decimal, period: Period) -> str:
    days = (period.last - period.first).days + 1
    return _("%s a day") % spell_decimal(money / days, 2)


def charts_of(known: Known) -> list[Chart]:
    """Everything charted, in the order of the page."""
    return [*_precision(known), *_times(known), *_crossings(known)]


def _precision(known: Known) -> list[Chart]:
    judged = known.judged
    names = known.camera_names
    cameras = sorted(judged.cameras.items(), key=lambda pair: -pair[1].judged)
    note = _("The bars say where the true share is with a certainty of 95 % (Wilson); few judgements make them long.")
    many = _("Those judged most often are drawn.") if len(cameras) > CAMERAS_DRAWN else ""
    hours = [precision_row(f"{hour:02}:00", judged.hours[hour]) for hour in DAY_HOURS if hour in judged.hours]
    prompts = [precision_row(key or _("not known"), each) for key, each in sorted(judged.prompts.items())]
    by_camera = [precision_row(names.get(key, _("deleted camera")), each) for key, each in cameras]
    return [
        Chart("cameras", _("Precision by camera"), _("Camera"), PRECISION, by_camera, many or note, CAMERAS_DRAWN),
        Chart("prompts", _("Precision by prompt version"), _("Prompt"), PRECISION, prompts, note),
        Chart("hours", _("Precision by hour of day"), _("Hour"), PRECISION, hours, note),
        Chart("levels", _("Precision by level"), _("Level"), PRECISION, _level_rows(judged), note),
        Chart("right-levels", _("Which level would have been right"), _("Alert's level"), _levels(), _right(judged)),
    ]


def _level_rows(judged: Judged) -> list[tuple[str, Sequence[Value]]]:
    words = dict(LEVEL_CHOICES)
    return [precision_row(str(words[each]), judged.levels[each]) for each in _ALARMING if each in judged.levels]


def _levels() -> list[Column]:
    return [Column(words, "bar", colour=value) for value, words in LEVEL_CHOICES]


def _right(judged: Judged) -> list[tuple[str, Sequence[Value]]]:
    words = dict(LEVEL_CHOICES)
    rights = {each: judged.levels[each].right_levels for each in _ALARMING if each in judged.levels}
    return [(str(words[each]), [right[value] for value, _words in LEVEL_CHOICES]) for each, right in rights.items()]


def _times(known: Known) -> list[Chart]:
    tallies = {name: part.tally for name, part in known.parts.items()}
    head = _("Hour") if known.period.is_short else _("Day")
    latency = [(name, [quantile(each.steps, 0.5), quantile(each.steps, 0.95)]) for name, each in tallies.items()]
    spent = [(day, [float(money), *calls]) for day, (money, *calls) in known.spent.items()]
    return [
        Chart("latency", _("How long answers take"), head, _latency_columns(), latency, _("To within 2.5 %.")),
        _counted("outcomes", _("What became of questions"), head, tallies, _OUTCOMES),
        _counted("gate", _("What the gate decided of traffic groups"), head, tallies, _GATE),
        Chart("left-out", _("Why groups were left out"), _("Reason"), _GROUPS, _left_out(known.together)),
        Chart("cost", _("Cost of the model's calls"), _("Day"), SPENT, spent),
    ]


def _latency_columns() -> list[Column]:
    most = Column(_("95 of 100 within"), "line", "medium", "seconds")
    return [Column(_("Half of them within"), "line", "accent", "seconds"), most]


_GROUPS = (Column(gettext_lazy("Traffic groups"), "bar"),)
_OUTCOMES = (
    (Column(gettext_lazy("answered by a model"), "bar", "accent"), (Count.ANSWERED,)),
    (Column(gettext_lazy("failed"), "bar", "high"), (Count.FAILED,)),
    (Column(gettext_lazy("expired"), "bar", "medium"), (Count.EXPIRED,)),
)
_GATE = (
    (Column(gettext_lazy("asked about"), "bar", "accent"), (Count.ANSWERED, Count.FAILED, Count.EXPIRED)),
    (Column(gettext_lazy("given the verdict of a moment before"), "bar", "none"), (Count.REUSED,)),
    (Column(gettext_lazy("judged by geometry"), "bar", "low"), (Count.GUESSED,)),
    (Column(gettext_lazy("left out"), "bar", "unknown"), tuple(LEFT_OUT_BY_REASON.values())),
    (Column(gettext_lazy("Samples")), (Count.SAMPLED,)),
    (Column(gettext_lazy("Missed")), (Count.MISSED,)),
)


def _counted(
    key: str, title: str, head: str, tallies: Mapping[str, Tally], columns: Sequence[tuple[Column, Sequence[Count]]]
) -> Chart:
    rows = [
        (name, [sum(each.counts[count] for count in counts) for _column, counts in columns])
        for name, each in tallies.items()
    ]
    return Chart(key, title, head, [column for column, _counts in columns], rows)


def _left_out(tally: Tally) -> list[tuple[str, Sequence[Value]]]:
    words = {str(value): str(name) for value, name in SKIP_CHOICES}
    counted = {words[reason]: tally.counts[count] for reason, count in LEFT_OUT_BY_REASON.items()}
    return [(reason, [count]) for reason, count in counted.items() if count]


def _crossings(known: Known) -> list[Chart]:
    parts = {name: _summed(part.crossings, lambda _hour, kind, _way: kind) for name, part in known.parts.items()}
    every: Counter[Crossed] = sum((part.crossings for part in known.parts.values()), Counter())
    clock = _summed(every, lambda hour, _kind, way: (hour, way))
    kinds = _summed(every, lambda _hour, kind, way: (kind, way))
    head = _("Hour") if known.period.is_short else _("Day")
    by_part = [(name, [crossed[each] for each in _CLASSES]) for name, crossed in parts.items()]
    by_hour = _rows_of_ways({hour: f"{hour:02}:00" for hour in DAY_HOURS}, clock)
    by_class = _rows_of_ways({each: str(CLASS_WORDS[each]) for each in _CLASSES}, kinds)
    return [
        Chart("counts", _("Who crossed counting lines, by class"), head, _BY_CLASS, by_part),
        Chart("counts-by-hour", _("Crossings by hour of day and direction"), _("Hour"), _BY_WAY, by_hour),
        Chart("counts-by-class", _("Crossings by class and direction"), _("Class"), _BY_WAY, by_class),
    ]


def _summed(crossings: Counter[Crossed], key: Callable[[int, str, str], Hashable]) -> Counter[Any]:
    """How many crossed, by something of an hour of the day, a class and a direction."""
    sums: Counter[Any] = Counter()
    for crossed, count in crossings.items():
        sums[key(*crossed)] += count
    return sums


def _rows_of_ways(names: Mapping[Any, str], sums: Counter[Any]) -> list[tuple[str, Sequence[Value]]]:
    return [(name, [sums[key, way] for way, _words in DIRECTION_CHOICES]) for key, name in names.items()]
