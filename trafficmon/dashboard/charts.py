"""Charts as tables: what the browser draws is read out of the table, which is there for everybody, and is the CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from assessment.judged import Precision
from assessment.models import Truth
from trafficmon.core.spreadsheet import csv_line

Value = float | int | str | None


def spell_decimal(value: float | Decimal, places: int) -> str:
    """Rounded to so many places; Django's own function cuts off."""
    return number_format(f"{value:.{places}f}", places)


def _plain(value: Value) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `drawn` as bars, a line, points, the two ends of an interval, or not at all; `colour` of page.css."""

    name: object
    drawn: Literal["", "bar", "line", "point", "low", "high"] = ""
    colour: str = "accent"
    form: Literal["", "share", "seconds", "money"] = ""

    def spell(self, value: Value) -> str:
        """The value as people read it."""
        if value is None:
            return "–"
        if isinstance(value, str):
            return value
        match self.form:
            case "share":
                return f"{spell_decimal(100 * value, 1)} %"
            case "seconds":
                return f"{spell_decimal(value, 2)} s"
            case "money":
                return spell_decimal(value, 4)
        return number_format(value, use_l10n=True, force_grouping=True)


@dataclass(frozen=True, slots=True)
class Chart:
    """A table with a name; the first column has the names of its rows."""

    key: str
    title: object
    head: object
    columns: Sequence[Column]
    rows: Sequence[tuple[str, Sequence[Value]]]
    note: object = ""
    most_drawn: int = 0
    """Of many rows so many are drawn, from the top; 0 is all."""

    @property
    def cells(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Each row with its cells as they are, written for programs, and as they are read."""
        return [
            (name, [(_plain(value), column.spell(value)) for column, value in zip(self.columns, row, strict=True)])
            for name, row in self.rows
        ]

    @property
    def is_empty(self) -> bool:
        return not any(value for _name, row in self.rows for value in row)

    def csv(self) -> Iterable[str]:
        """Line by line, with shares as 0 to 1 and seconds as they are."""
        yield csv_line([str(self.head), *(str(each.name) for each in self.columns)])
        for name, row in self.rows:
            yield csv_line([name, *("" if value is None else value for value in row)])


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the whole period, and what else is to be known of it."""

    name: object
    figure: str
    words: str = ""
    details: Sequence[str] = field(default_factory=tuple)


PRECISION = (
    Column(_("Precision"), "point", "text", "share"),
    Column(_("at least"), "low", "muted", "share"),
    Column(_("at most"), "high", "muted", "share"),
    Column(_("True")),
    Column(_("False")),
    Column(_("Unsure")),
)


def precision_row(name: str, judged: Precision) -> tuple[str, Sequence[Value]]:
    """What fits under PRECISION."""
    low, high = judged.interval if judged.judged else (None, None)
    counts = [judged.truths[each] for each in (Truth.TRUE, Truth.FALSE, Truth.UNSURE)]
    return name, [judged.share, low, high, *counts]
