"""A YOLO network exported for square pictures, made to take only as many rows or columns as a picture fills.

A wide picture leaves nearly half of a square input grey, and the network works on the grey as on the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

STRIDES = (8, 16, 32)
"""Pixels of the input to one cell of each of the grids that such a network looks with; each cell is an anchor."""

Grid = tuple[int, int]


def reshape_network(model: Any, *, width: int, height: int) -> bool:
    """Whether `model` now takes 1 x 3 x `height` x `width`, both multiples of 32 and no larger than what it took.

    The exporter has written sizes of the square into the network: where reshapes lead, and where the anchors lie. A
    network that is built in another way is spoilt: its caller reads it anew.
    """
    _, _, old_height, old_width = model.input(0).get_shape()
    grids = {(old_height // n, old_width // n): (height // n, width // n) for n in STRIDES}
    if not _replace_anchors(model, grids):
        return False
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Reshape":
            _correct_target(node, grids)
    model.get_parameters()[0].set_partial_shape(openvino.PartialShape([1, 3, height, width]))
    try:
        model.validate_nodes_and_infer_types()
    except RuntimeError:
        return False
    return all(int(output.get_shape()[-1]) == _count_cells(grids.values()) for output in model.outputs)


def _replace_anchors(model: Any, grids: dict[Grid, Grid]) -> bool:
    """Keep of everything written for each anchor what belongs to those that remain; whether any were found."""
    centres, kept = _centres(grids), _kept_anchors(grids)
    found = False
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and list(node.output(0).get_shape())[1:][-1:] == [centres.shape[1]]:
            values = node.get_data()
            found = found or (values.shape[-2:] == centres.shape and np.array_equal(values.reshape(2, -1), centres))
            smaller = ops.constant(np.ascontiguousarray(values[..., kept])).output(0)
            for target in list(node.output(0).get_target_inputs()):
                target.replace_source_output(smaller)
    return found


def _centres(grids: dict[Grid, Grid]) -> NDArray[np.float32]:
    """The middle of each cell, x then y, in cells: 2 x anchors, grid by grid and row by row."""
    middles = [np.mgrid[0:rows, 0:columns][::-1].reshape(2, -1) + 0.5 for rows, columns in grids]
    return np.concatenate(middles, axis=1, dtype=np.float32)


def _kept_anchors(grids: dict[Grid, Grid]) -> NDArray[np.intp]:
    """The places of the anchors that lie in the new grids too, which begin in the same corner."""
    kept, before = [], 0
    for (old_rows, old_columns), (rows, columns) in grids.items():
        places = before + np.arange(old_rows * old_columns).reshape(old_rows, old_columns)
        kept.append(places[:rows, :columns].ravel())
        before += old_rows * old_columns
    return np.concatenate(kept)


def _correct_target(node: Any, grids: dict[Grid, Grid]) -> None:
    """Let a reshape that leads to a size of the old grids lead to that of the new ones."""
    source = node.input_value(1).get_node()
    target = source.get_data().tolist() if source.get_type_name() == "Constant" else []
    if tuple(target[2:]) in grids:
        target[2:] = grids[tuple(target[2:])]
    elif -1 not in target and target[-1:] and target[-1] in {*(h * w for h, w in grids), _count_cells(grids)}:
        target[-1] = -1
    else:
        return
    node.input(1).replace_source_output(ops.constant(np.array(target, np.int64)).output(0))


def _count_cells(grids: Iterable[Grid]) -> int:
    return sum(rows * columns for rows, columns in grids)
