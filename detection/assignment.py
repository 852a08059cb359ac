"""Which row goes with which column, so that the whole is best.

Our own forty lines rather than scipy (35 MB) or an untyped extension: a picture gives at most a few hundred rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FREE = -1


def assign(gains: Floats) -> list[tuple[int, int]]:
    """Pairs (row, column) with the greatest total of `gains` (rows x columns, none negative), ordered by row.

    A gain of 0 means that the two must not be paired. The Hungarian method with shortest augmenting paths: Jonker and
    Volgenant, Computing 38 (1987); cubic in the shorter side.
    """
    useful_rows, useful_columns = np.flatnonzero(gains.any(axis=1)), np.flatnonzero(gains.any(axis=0))
    dense = gains[np.ix_(useful_rows, useful_columns)]
    pairs = _assign_tall(dense) if dense.shape[0] > dense.shape[1] else _assign_wide(dense)
    return sorted(
        (int(useful_rows[row]), int(useful_columns[column])) for row, column in pairs if dense[row, column] > 0
    )


def _assign_tall(gains: Floats) -> list[tuple[int, int]]:
    return [(row, column) for column, row in _assign_wide(gains.T)]


def _assign_wide(gains: Floats) -> list[tuple[int, int]]:
    """Every row with a column of its own; there are at least as many columns as rows."""
    search = _Search(-gains, np.zeros(gains.shape[0]), np.zeros(gains.shape[1]), np.full(gains.shape[1], FREE))
    for row in range(gains.shape[0]):
        search.place(row)
    return [(int(row), column) for column, row in enumerate(search.row_of) if row != FREE]


@dataclass(slots=True)
class _Search:
    """Costs, the prices of rows and columns that prove the assignment best, and the row each column has."""

    costs: Floats
    row_prices: Floats
    column_prices: Floats
    row_of: NDArray[np.intp]

    def place(self, row: int) -> None:
        """Give `row` a column along the cheapest path of re-assignments."""
        columns = self.costs.shape[1]
        reach, came_from = np.full(columns, np.inf), np.full(columns, FREE)
        done = np.zeros(columns, dtype=bool)
        current, travelled, column = row, 0.0, FREE
        while current != FREE:
            through = travelled + self.costs[current] - self.row_prices[current] - self.column_prices
            nearer = ~done & (through < reach)
            reach[nearer], came_from[nearer] = through[nearer], column
            column = int(np.argmin(np.where(done, np.inf, reach)))
            travelled, done[column] = float(reach[column]), True
            current = int(self.row_of[column])
        self._reprice(row, travelled, np.where(done, travelled - reach, 0.0))
        self._shift(row, column, came_from)

    def _reprice(self, row: int, travelled: float, slack: Floats) -> None:
        self.row_prices[row] += travelled
        held = self.row_of != FREE
        self.row_prices[self.row_of[held]] += slack[held]
        self.column_prices -= slack

    def _shift(self, row: int, column: int, came_from: NDArray[np.intp]) -> None:
        """Move every row along the path one column on, so that `row` gets the first."""
        while came_from[column] != FREE:
            self.row_of[column] = self.row_of[came_from[column]]
            column = int(came_from[column])
        self.row_of[column] = row
