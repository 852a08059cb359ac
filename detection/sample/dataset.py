"""Pictures of the synthetic street with their ground truth, in the layout that ultralytics trains from."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cameras.street import Street, TrueObject
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

CLASS_NAMES = tuple(one.value for one in ObjectClass)
TRAINING_SEEDS = range(10_000, 20_000)
VALIDATION_SEEDS = range(20_000, 30_000)
TEST_SEEDS = range(30_000, 40_000)

LEAST_VISIBLE = 0.35
SMALLEST_PX = 9.0
_STREET_SIZE = (1280, 720)
_PICTURE_SIZE = (640, 360)
_FRAMES_PER_SEED = 10
_CROPPED_SHARE = 0.3
_SCENE_SHARES: Mapping[str, float] = {"junction": 0.3, "avenue": 0.3, "night-junction": 0.25, "highway": 0.15}


@dataclass(frozen=True, slots=True)
class Label:
    """One object of a picture; `box` in pixels of the picture."""

    class_index: int
    box: Box


@dataclass(frozen=True, slots=True)
class Part:
    """One street's share of a set: `crops` says whether some pictures show only a part of the street."""

    scene: str
    seed: int
    frames: int
    crops: bool
    folder: Path


def labels_of(truth: Iterable[TrueObject], window: Box) -> list[Label]:
    """What a detector can be asked to find in `window` of the street's picture, in pixels of that window."""
    listed = []
    for one in truth:
        moved = Box(one.box.x1 - window.x1, one.box.y1 - window.y1, one.box.x2 - window.x1, one.box.y2 - window.y1)
        box = moved.clipped(window.width, window.height)
        inside = box.area / max(one.box.area, 1e-9)
        small_px = SMALLEST_PX * window.width / _STREET_SIZE[0]
        if one.visible * inside >= LEAST_VISIBLE and min(box.width, box.height) >= small_px:
            listed.append(Label(CLASS_NAMES.index(one.object_class.value), box))
    return listed


def as_yolo(labels: Sequence[Label], width: float, height: float) -> str:
    """One line for each label: class, middle and size in shares of the picture."""
    lines = []
    for label in labels:
        (x, y), box = label.box.centre, label.box
        lines.append(
            f"{label.class_index} {x / width:.6f} {y / height:.6f} {box.width / width:.6f} {box.height / height:.6f}"
        )
    return "\n".join(lines)


def write_dataset(folder: Path, *, training: int, validation: int, first_seed: int = 0, workers: int = 1) -> Path:
    """Write about that many pictures for training and for validation, from disjoint seeds; the path of its yaml file.

    `first_seed` counts from the start of each range of seeds. Pictures that are already there are kept, so that an
    interrupted run goes on where it stopped.
    """
    parts = [
        *_parts(folder / "train", TRAINING_SEEDS[first_seed:], training, crops=True),
        *_parts(folder / "val", VALIDATION_SEEDS, validation, crops=False),
    ]
    _write_parts(parts, workers)
    return _describe(folder, "street.yaml", ("train/images", "val/images"))


def unseen_parts(pictures: int) -> list[Part]:
    """Streets that neither training nor validation has seen, for about that many pictures."""
    return _parts(Path(), TEST_SEEDS, pictures, crops=False)


def _describe(folder: Path, name: str, images: tuple[str, str]) -> Path:
    names = "\n".join(f"  {number}: {name}" for number, name in enumerate(CLASS_NAMES))
    description = folder / name
    description.write_text(f"path: {folder.resolve()}\ntrain: {images[0]}\nval: {images[1]}\nnames:\n{names}\n")
    return description


def _parts(folder: Path, seeds: range, pictures: int, *, crops: bool) -> list[Part]:
    unused = iter(seeds)
    return [
        Part(scene, next(unused), _FRAMES_PER_SEED, crops, folder)
        for scene, share in _SCENE_SHARES.items()
        for _ in range(max(round(pictures * share / _FRAMES_PER_SEED), 1))
    ]


def _write_parts(parts: Sequence[Part], workers: int) -> None:
    if workers == 1:
        _report(map(_write_part, parts), len(parts))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        _report(pool.map(_write_part, parts), len(parts))


def _report(parts: Iterable[None], count: int) -> None:
    for done, _ in enumerate(parts, start=1):
        if done % 20 == 0 or done == count:
            sys.stdout.write(f"street pictures: {done * 100 // count} %\n")
            sys.stdout.flush()


def _write_part(part: Part) -> None:
    images, labels = part.folder / "images", part.folder / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(part.seed)
    names = [_name(part, number) for number in range(part.frames)]
    if all((labels / f"{name}.txt").exists() for name in names):
        return
    street = Street(part.scene, seed=part.seed)
    seconds = float(rng.uniform(0.0, 8.0))
    for name in names:
        street.advance_to(seconds)
        window = _window(rng) if part.crops else Box(0, 0, *_STREET_SIZE)
        picture = _cut(street.render(), window)
        found = labels_of(street.truth(), window)
        cv2.imwrite(str(images / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 93])
        partial = labels / f"{name}.part"
        partial.write_text(as_yolo(found, window.width, window.height))
        os.replace(partial, labels / f"{name}.txt")  # noqa: PTH105 - an atomic rename, by its well-known name
        seconds += float(rng.uniform(3.0, 9.0))


def _name(part: Part, number: int) -> str:
    """Starts with a hash, so that sorting by name mixes the scenes."""
    plain = f"{part.scene}-{part.seed}-{number}"
    return f"{hashlib.sha256(plain.encode()).hexdigest()[:6]}-{plain}"


def _window(rng: np.random.Generator) -> Box:
    """The whole picture, or a part of it of the same proportions."""
    width, height = _STREET_SIZE
    if rng.random() >= _CROPPED_SHARE:
        return Box(0, 0, width, height)
    share = float(rng.uniform(0.55, 0.9))
    x, y = int(rng.uniform(0, width * (1 - share))), int(rng.uniform(0, height * (1 - share)))
    return Box(x, y, x + int(width * share), y + int(height * share))


def _cut(picture: NDArray[np.uint8], window: Box) -> NDArray[np.uint8]:
    part = picture[int(window.y1) : int(window.y2), int(window.x1) : int(window.x2)]
    return np.asarray(cv2.resize(part, _PICTURE_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)
