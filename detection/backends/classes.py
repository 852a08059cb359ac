"""From the class names that weights carry to the closed set that is shown and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from detection.detector import WeightsUnusableError
from trafficmon.core.objects import ObjectClass


def kept_classes(names: Mapping[int, str], include: Iterable[ObjectClass], *, weights: Path) -> dict[int, ObjectClass]:
    """The class numbers worth keeping; raises WeightsUnusableError when the weights know none of `include`."""
    wanted = {each.value: each for each in include}
    spelled = {number: name.strip().lower().replace(" ", "_").replace("-", "_") for number, name in names.items()}
    kept = {number: wanted[name] for number, name in spelled.items() if name in wanted}
    if not kept:
        message = f"{weights} knows none of the classes {', '.join(wanted)}: name other weights or other classes"
        raise WeightsUnusableError(message)
    return kept
