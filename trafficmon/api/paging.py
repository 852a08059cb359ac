"""Lists in pages: a cursor names the last row of a page, so that the next is found by an index however far on it is.

Rows that come meanwhile neither repeat nor hide others, as they would with an offset.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db.models import Field as Column
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from trafficmon.api.answers import Asked, Paged, Refused
from trafficmon.live.incoming import Moment
from trafficmon.live.messages import Part

Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item", bound=Part)


Number = Annotated[int, Field(ge=0, lt=2**63)]
"""Of a row; the database knows no larger ones."""


class Page(Asked):
    """Which page of a list. The header `Link` of an answer has the address of the next, until there is none."""

    limit: int = Field(default=100, ge=1, le=500)
    cursor: str = Field(default="", max_length=400)


class Period(Page):
    """A page of what belongs to one camera or all, and to a stretch of time."""

    camera_id: Number | None = None
    since: Moment | None = Field(default=None, alias="from")
    before: Moment | None = None

    def narrow(self, rows: QuerySet[Row], moment: str) -> QuerySet[Row]:
        """The rows of the camera whose `moment` is in that time."""
        wanted = {"camera": self.camera_id, f"{moment}__gte": self.since, f"{moment}__lt": self.before}
        return rows.filter(**chosen(wanted))


def chosen(wanted: dict[str, Any]) -> dict[str, Any]:
    """The conditions that were given; what was left out narrows nothing."""
    return {name: value for name, value in wanted.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Order:
    """By a column, and of equals by number; `newest_first` turns both round. The column is never empty."""

    column: str
    newest_first: bool = True

    def page(self, rows: QuerySet[Row], asked: Page, tell: Callable[[Row], Item]) -> Paged[Item]:
        """The rows of the page, as they are told; raises Refused for a cursor that is none of this list."""
        sign = "-" if self.newest_first else ""
        ordered = rows.order_by(f"{sign}{self.column}", f"{sign}pk")
        if asked.cursor:
            ordered = ordered.filter(self._beyond(rows.model, asked.cursor))
        found = list(ordered[: asked.limit + 1])
        shown = found[: asked.limit]
        return Paged([tell(each) for each in shown], self._cursor(shown[-1]) if len(found) > len(shown) else None)

    def _cursor(self, row: Model) -> str:
        value = getattr(row, self.column)
        place = [value.isoformat() if hasattr(value, "isoformat") else value, row.pk]
        return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")

    def _beyond(self, model: type[Model], cursor: str) -> Q:
        """What comes after the row that the cursor names."""
        value, pk = _read(model, self.column, cursor)
        side = "lt" if self.newest_first else "gt"
        tied = Q(**{self.column: value, f"pk__{side}": pk})
        # The first condition is implied by the others: it is the one that an index answers.
        return Q(**{f"{self.column}__{side}e": value}) & (Q(**{f"{self.column}__{side}": value}) | tied)


def _read(model: type[Model], column: str, cursor: str) -> tuple[Any, int]:
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        read = cast("Column[Any, Any]", model._meta.get_field(column)).to_python(value)
    except (ValueError, TypeError, binascii.Error, ValidationError):
        read, pk = None, None
    if read is None or not isinstance(pk, int) or abs(pk) >= 2**63:
        raise Refused(400, _("cursor: take it from the Link header of this list's last page."))
    return read, pk
