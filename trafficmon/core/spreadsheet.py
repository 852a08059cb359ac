"""What is written for spreadsheets to read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """Lists as one text; and no text that somebody wrote is ever taken for a formula."""
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value


def csv_line(values: Sequence[object]) -> str:
    """One line of a CSV file with its end."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow([cell(value) for value in values])
    return line.getvalue()
