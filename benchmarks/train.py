"""`make bench-train`: does the loop starve, and what does each choice of its execution bring?

FLOODLOOM_DATA names the folder of the real data sets; the tiles are OMBRIA's, in a sharded store.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.data import data_root
from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.record import record
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.data.zarr_tiles import load_radar_tiles, locate_tiles
from floodloom.learning.losses.ce_dice import ce_dice
from floodloom.learning.network import Execution, choose_execution, default_device
from floodloom.learning.training.loop import fit
from floodloom.learning.training.settings import TrainingSettings
from floodloom.models.registry import build, names
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles

THREADS = 2
BATCH = 8
TILES = 80
TURNS = 5
FEEDING_TURNS = 24
GPU_STEPS = 20
MEMORY_BATCH = 4

Figures = dict[str, float]


def main() -> None:
    """Take all figures, each in a process of its own."""
    if len(sys.argv) > 1:
        torch.set_num_threads(THREADS)
        print(json.dumps(STEPS_OF[sys.argv[1]](*sys.argv[2:])))
        return
    with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
        store = Path(folder) / "tiles.zarr"
        tile(out=store, settings=TileSettings(dataset="ombria", root=data_root("ombria")))
        figures = {
            "model": "unet",
            "batch": BATCH,
            "threads": THREADS,
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "feeding": own("train", "feeding", str(store)),
            "formats": own("train", "formats"),
            "memory": {name: own("train", "memory", name)["peak_mib"] for name in names()},
        }
    record("train", figures, command="make bench-train", seeds=[0])


@dataclass(frozen=True)
class Preloaded:
    """As many tiles as one likes, all of which are those of one random batch."""

    batch: Samples
    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, index: Tensor) -> Samples:
        """Return the batch."""
        return self.batch.between(0, len(index))

    def identity(self) -> str:
        """Return the digest of the batch."""
        return self.batch.identity()


def feeding(store: str) -> Figures:
    """Compare the loop on augmented tiles from disk with the loop on one random batch, in turn.

    Each goes first as often as the other, so that a machine that slows down favours neither.
    """
    path = Path(store)
    training, validation = training_and_validation(locate_tiles(open_tiles(path), path))
    held = load_radar_tiles(validation.isel(tile=slice(0, BATCH)), 4.0)
    rows = training.isel(tile=slice(0, TILES))
    real = load_radar_tiles(rows, 0.0)
    preloaded = Preloaded(random_batch(real.take(torch.arange(BATCH))), TILES)
    augmentation = Augmentation(cutmix=0.5, band_drop=0.1)
    sides: dict[str, tuple[Tiles, Augmentation | None]] = {
        "real": (real, augmentation),
        "preloaded": (preloaded, None),
    }
    turns = [
        {side: rate(sides[side][0], held, sides[side][1]) for side in order}
        for order in [list(sides), list(sides)[::-1]] * (FEEDING_TURNS // 2)
    ]
    return {
        "real": statistics.median(turn["real"] for turn in turns),
        "preloaded": statistics.median(turn["preloaded"] for turn in turns),
        "ratio": statistics.median(turn["real"] / turn["preloaded"] for turn in turns),
    }


def rate(tiles: Tiles, validation: Tiles, augmentation: Augmentation | None) -> float:
    """Return the steps per second of an epoch of the loop."""
    plan = TrainingSettings(epochs=1, batch=BATCH, precision="bfloat16")
    fitted = fit(
        build("unet", 2, 2),
        TrainingSet.of(tiles, 2),
        validation,
        plan,
        augmentation=augmentation,
    )
    return float(fitted.history[-1]["steps_per_second"])


def random_batch(like: Samples) -> Samples:
    """Return a batch of random images and labels."""
    torch.manual_seed(0)
    return Samples(torch.randn(like.image.shape), torch.randint(0, 2, like.label.shape).byte())


def formats() -> Figures:
    """Return the steps per second of each execution, in turn, and which one `auto` chooses."""
    device = default_device()
    executions = {
        "float32": Execution(device),
        "float32 channels-last": Execution(device, channels_last=True),
        "bfloat16": Execution(device, bfloat16=True),
        "bfloat16 channels-last": Execution(device, bfloat16=True, channels_last=True),
    }
    torch.manual_seed(0)
    batch = random_batch(Samples(torch.empty(BATCH, 2, 256, 256), torch.empty(BATCH, 256, 256)))
    steps: dict[str, Callable[[], None]] = {}
    for name, execution in executions.items():
        steps[name] = stepper(build("unet", 2, 2), batch, execution)
        steps[f"{name} compiled"] = stepper(build("unet", 2, 2), batch, execution, compiled=True)
    for step in steps.values():
        step()
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(TURNS):
        for name, step in steps.items():
            taken[name].append(seconds(step))
    found = {name: 1 / statistics.median(times) for name, times in taken.items()}
    chosen = choose_execution(build("unet", 2, 2), "auto")
    number = "bfloat16" if chosen.bfloat16 else "float32"
    auto = number + (" channels-last" if chosen.channels_last else "")
    return {**found, "auto over float32": found[auto] / found["float32"]}


def stepper(
    module: nn.Module, batch: Samples, execution: Execution, *, compiled: bool = False
) -> Callable[[], None]:
    """Return a plain training step, without anything of the loop."""
    module = execution.place(module).train()
    network = torch.compile(module) if compiled else module
    optimizer = torch.optim.AdamW(module.parameters())
    placed = execution.samples(batch)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with execution.autocast():
            logits = network(placed.image)
        ce_dice(logits.float(), placed.label.long()).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()

    return step


def seconds(step: Callable[[], None]) -> float:
    """Return the seconds of one step."""
    on_gpu = torch.cuda.is_available()
    count = GPU_STEPS if on_gpu else 1
    started = time.perf_counter()
    for _ in range(count):
        step()
    if on_gpu:
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / count


def memory(name: str) -> Figures:
    """Return the peak memory of a process that trains a model for two steps."""
    tiles = Samples(torch.empty(MEMORY_BATCH, 2, 256, 256), torch.empty(MEMORY_BATCH, 256, 256))
    device = default_device()
    step = stepper(
        build(name, 2, 2), random_batch(tiles), Execution(device, bfloat16=True, channels_last=True)
    )
    step()
    step()
    on_gpu = device.type == "cuda"
    return {"peak_mib": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_mib()}


STEPS_OF: dict[str, Callable[..., Figures]] = {
    "feeding": feeding,
    "formats": formats,
    "memory": memory,
}


if __name__ == "__main__":
    main()
