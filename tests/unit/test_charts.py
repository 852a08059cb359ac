"""How figures in charts are spelled."""

from __future__ import annotations

from decimal import Decimal

from trafficmon.dashboard.charts import Column, spell_decimal


def test_figures_are_rounded_rather_than_cut_off() -> None:
    assert Column("share", form="share").spell(0.30064) == "30.1 %"
    assert Column("seconds", form="seconds").spell(1.999) == "2.00 s"
    assert spell_decimal(Decimal("27.716"), 2) == "27.72"


def test_what_is_not_known_is_a_dash() -> None:
    assert (Column("share", form="share").spell(None), Column("count").spell(0)) == ("–", "0")
