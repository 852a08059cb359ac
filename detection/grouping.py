"""Which road users are close enough together to be judged together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.configuration import GroupingConfiguration
from detection.detections import Detection, TrafficGroup
from trafficmon.core.geometry import union_box
from trafficmon.core.objects import ROAD_USERS


def form_groups(
    detections: Sequence[Detection], *, width: int, height: int, configuration: GroupingConfiguration
) -> tuple[TrafficGroup, ...]:
    """Traffic groups of a picture of `width` x `height` pixels, numbered from 1 by their smallest member index.

    Road users whose box centres are at most `distance_threshold` pixels apart are linked; connected components of at
    least `min_group_size` are groups. Lights, signs and parked vehicles belong to none.
    """
    if not configuration.enable_groups:
        return ()
    users = [index for index, each in enumerate(detections) if each.object_class in ROAD_USERS and not each.parked]
    centres = np.array([detections[index].box.centre for index in users], dtype=np.float64).reshape(-1, 2)
    components = _components(centres, configuration.distance_threshold)
    groups = [tuple(users[place] for place in each) for each in components if len(each) >= configuration.min_group_size]
    return tuple(
        _describe(number, members, detections, crop_margin=configuration.crop_margin, size=(width, height))
        for number, members in enumerate(groups, start=1)
    )


def _components(centres: NDArray[np.float64], reach: float) -> list[list[int]]:
    """Connected components of the points (N x 2) linked where at most `reach` apart, each sorted, by first member."""
    steps = centres[:, np.newaxis] - centres[np.newaxis]
    linked = np.hypot(steps[..., 0], steps[..., 1]) <= reach
    unseen = np.ones(len(centres), dtype=bool)
    components = []
    for start in range(len(centres)):
        if unseen[start]:
            component = _reached_from(start, linked)
            unseen &= ~component
            components.append(np.flatnonzero(component).tolist())
    return components


def _reached_from(start: int, linked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which points a walk along links reaches, as N booleans."""
    reached: NDArray[np.bool_] = np.asarray(linked[start], dtype=np.bool_)
    while True:
        wider: NDArray[np.bool_] = np.asarray(linked[reached].any(axis=0), dtype=np.bool_)
        if np.array_equal(wider, reached):
            return wider
        reached = wider


def _describe(
    number: int,
    members: tuple[int, ...],
    detections: Sequence[Detection],
    *,
    crop_margin: float,
    size: tuple[int, int],
) -> TrafficGroup:
    chosen = [detections[index] for index in members]
    box = union_box(each.box for each in chosen)
    return TrafficGroup(
        index=number,
        members=members,
        box=box,
        crop=box.grown(crop_margin).clipped(*size),
        average_confidence=sum(each.confidence for each in chosen) / len(chosen),
        classes=tuple(dict.fromkeys(each.object_class for each in chosen)),
    )
