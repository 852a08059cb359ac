"""Train the sample model on the synthetic street: `python -m detection.sample.train`.

Interrupted, it goes on where it stopped.

Needs the detection requirement set (ultralytics, torch). Touches no network: the network is built from its description
here and starts from random weights.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights"
NAME = "trafficmon-sample"
WORK = Path("var/sample-model")
INPUT_SIZE = (384, 640)
"""Height and width of the exported model's input: a 16:9 picture, padded as little as strides of 32 allow."""


@dataclass(frozen=True, slots=True)
class Stage:
    """So many epochs on pictures of its own, from the learning rate down to a fiftieth of it."""

    epochs: int
    learning_rate: float


STAGES = (Stage(9, 0.0025), Stage(9, 0.002))
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "batch": 8,
        "nbs": 8,
        "imgsz": INPUT_SIZE[1],
        "rect": True,
        "device": "cpu",
        "workers": 0,
        "seed": 1,
        "deterministic": True,
        "optimizer": "AdamW",
        "lrf": 0.02,
        "cos_lr": True,
        "warmup_epochs": 1.0,
        "weight_decay": 0.0005,
        "scale": 0.25,
        "translate": 0.08,
        "fliplr": 0.5,
        "hsv_h": 0.02,
        "hsv_s": 0.5,
        "hsv_v": 0.35,
        "mosaic": 0.0,
        "erasing": 0.0,
        "plots": False,
        "patience": 0,
        "max_det": 200,
    }
)
_SEEDS_PER_STAGE = 1000

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_CONFIG_DIR", str(WORK.resolve() / "ultralytics"))
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on a shared machine, threads that spin while they wait cost half

import torch  # noqa: E402 - after the switches that keep ultralytics off the network
from ultralytics.models import YOLO  # noqa: E402
from ultralytics.nn.tasks import BaseModel  # noqa: E402
from ultralytics.utils.torch_utils import strip_optimizer  # noqa: E402

from detection.sample.dataset import write_dataset  # noqa: E402

_PLACES = frozenset({"model", "data", "project", "name", "save_dir", "resume"})
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_memory() -> None:
    """Have the C library keep freed memory: handing each tensor's pages back to the system doubles a step's time."""
    if sys.platform == "linux":
        library = ctypes.CDLL("libc.so.6")
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28)):
            library.mallopt(option, value)


def loss_in_bfloat16(model: Any, batch: dict[str, Any], preds: Any = None) -> Any:
    """The model's loss with its convolutions in bfloat16 and the loss proper in float32; `preds` as in BaseModel.loss.

    ultralytics offers bfloat16 on CUDA only; on processors that have it, a step takes 40 % less. It replaces a method
    of the class rather than of the model, so that checkpoints stay loadable by ultralytics alone.
    """
    if preds is None:
        image = batch["img"].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            preds = model.forward(image)
        preds = _in_float32(preds)
    if getattr(model, "criterion", None) is None:
        model.criterion = model.init_criterion()
    return model.criterion(preds, batch)


def _in_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {name: _in_float32(part) for name, part in value.items()}
    return type(value)(_in_float32(part) for part in value) if isinstance(value, list | tuple) else value


def train(stage: Stage, description: Path, start: Path, run: Path) -> Path:
    """Train from `start`, or go on with what is in `run`; the path of the best checkpoint."""
    last = run / "weights" / "last.pt"
    keep_memory()
    if torch.cpu._is_avx512_bf16_supported():
        cast("Any", BaseModel).loss = loss_in_bfloat16
    if not last.exists():
        places = {"data": str(description), "project": str(run.parent.resolve()), "name": run.name, "exist_ok": True}
        YOLO(start).train(epochs=stage.epochs, lr0=stage.learning_rate, **SETTINGS, **places)
    elif _is_unfinished(last):
        YOLO(last).train(resume=True)
    return run / "weights" / "best.pt"


def ship(checkpoint: Path, folder: Path = WEIGHTS) -> Path:
    """Put `checkpoint`, stripped of what only training needs, and its OpenVINO form into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    shipped = folder / f"{NAME}.pt"
    strip_optimizer(str(checkpoint), str(shipped))
    _forget_where_it_was_trained(shipped)
    exported = folder / f"{NAME}_openvino_model"
    shutil.rmtree(exported, ignore_errors=True)
    YOLO(shipped).export(format="openvino", imgsz=list(INPUT_SIZE), quantize=16, batch=1, dynamic=False)
    return shipped


def _forget_where_it_was_trained(shipped: Path) -> None:
    """Leave out folders of the training machine, its checkout, and the state of the loss."""
    state = torch.load(shipped, map_location="cpu", weights_only=False)
    kept = {name: value for name, value in state["train_args"].items() if name not in _PLACES}
    state["git"], state["train_args"] = None, kept
    model = state["model"]
    model.args, model.criterion = dict(kept), None
    model.yaml["yaml_file"] = "sample.yaml"
    torch.save(state, shipped)


def _is_unfinished(checkpoint: Path) -> bool:
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)
    return int(state.get("epoch", -1)) >= 0 and state.get("optimizer") is not None


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the sample model on the synthetic street.")
    parser.add_argument("--pictures", type=int, default=3000, help="for training, in each stage")
    parser.add_argument("--validation-pictures", type=int, default=120)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that draw pictures")
    parser.add_argument("--work", type=Path, default=WORK, help="where pictures and checkpoints are kept")
    parser.add_argument("--ship-only", type=Path, metavar="CHECKPOINT", help="ship this, without training")
    options = parser.parse_args()
    best: Path = options.ship_only or HERE / "sample.yaml"
    for number, stage in enumerate(() if options.ship_only else STAGES, start=1):
        folder = options.work / f"stage-{number}"
        description = write_dataset(
            folder,
            training=options.pictures,
            validation=options.validation_pictures,
            first_seed=(number - 1) * _SEEDS_PER_STAGE,
            workers=options.workers,
        )
        best = train(stage, description, best, folder / "run")
    sys.stdout.write(f"shipped {ship(best)}\n")


if __name__ == "__main__":
    main()
