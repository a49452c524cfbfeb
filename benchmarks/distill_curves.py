"""The gain of distillation on simulated pairs, against clouds, time gap and misregistration.

Few labelled pairs of one place, validation and test in two more. The distilled student is taught on
the labelled pairs and, by `distill.unlabelled`, on others of that place. The plain student has the
same number of steps, the teacher as many more as on OMBRIA; it learns from pairs that are as bad as
those that it teaches on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from benchmarks.distill_ombria import Budget, flood_iou
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.optical import (
    drop_optical,
    fuse_optical,
    paired_samples,
    standardise_optical,
    unlabelled_pairs,
)
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.splits import select
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.distillation.settings import DistillSettings
from floodloom.learning.distillation.student import distill_student
from floodloom.learning.network import untrained
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.train import train_checkpoint
from floodloom.raster.recipe import Recipe
from floodloom.simulate.backscatter import draw_day
from floodloom.simulate.landscape import Landscape, make_landscape, surface_backscatter
from floodloom.simulate.optical import CHANNELS, optical_image
from floodloom.simulate.place import draw_place
from floodloom.tiles.store import concatenate_tiles, tile_dataset

CURVES: dict[str, tuple[float, ...]] = {
    "cloud share": (0.0, 0.3, 0.6, 0.9),
    "days after the peak": (0.0, 2.0, 5.0, 10.0),
    "shift, px": (0.0, 1.0, 2.0, 3.0),
}
LOOKS = 4.4
BIOME, RELIEF_M = "farmland", 40.0
DEPTH_M, RECESSION_M_PER_DAY = 2.5, 0.2
TILE = 64
PLACES = {"train": 0, "validation": 1, "test": 2}
FEW = 4  # one tile in so many of the training place has labels
PASSES = 4  # over them in an epoch
UNLABELLED = 1.5  # pairs without labels per labelled one, at most


@dataclass(frozen=True)
class Pairs:
    """How good the pairs are."""

    cloud: float = 0.0
    days: float = 0.0
    shift: float = 0.0


def take_curve(name: str, seed: int, *, small: bool = False) -> list[dict[str, float]]:
    """Return the IoU of the students of a seed at every point of a curve."""
    field = {"cloud share": "cloud", "days after the peak": "days", "shift, px": "shift"}[name]
    as_long = plain_iou(seed, small, Budget.teacher_times + 1)
    points = []
    for at in CURVES[name]:
        plain, distilled = compare(replace(Pairs(cloud=0.2), **{field: at}), seed, small)
        found = {"plain": plain, "plain_as_long": as_long, "distilled": distilled}
        points.append({"at": at, **found})
    return points


@cache
def compare(pairs: Pairs, seed: int, small: bool) -> tuple[float, float]:
    """Return the IoU of the plain and of the distilled student on the test place."""
    found = _material(pairs, seed, small)
    teacher = train_checkpoint(
        found.teacher,
        TrainingSet.of(fuse_optical(found.labelled), 2),
        fuse_optical(found.validation),
        _plan(seed, small, Budget.teacher_times),
        augmentation=Augmentation(sensor_drop=0.3, second_sensor=2),
    )
    distilled = distill_student(
        found.student,
        teacher,
        found.taught,
        found.validation,
        DistillSettings(**_plan(seed, small, len(found.labelled) / len(found.taught)).model_dump()),
        augmentation=Augmentation(),
    )
    return plain_iou(seed, small), flood_iou([(distilled, _test(seed, small))])


@cache
def plain_iou(seed: int, small: bool, times: int = 1) -> float:
    """Return the IoU of the plain student, which sees none of what makes pairs differ.

    `times` multiplies its epochs.
    """
    found = _material(Pairs(), seed, small)
    learned = train_checkpoint(
        found.student,
        TrainingSet.of(drop_optical(found.labelled), 2),
        drop_optical(found.validation),
        _plan(seed, small, times),
        augmentation=Augmentation(),
    )
    return flood_iou([(learned, _test(seed, small))])


def _plan(seed: int, small: bool, times: float = 1) -> TrainingSettings:
    return TrainingSettings(
        epochs=round((2 if small else 20) * times), batch=8, learning_rate=3e-3, patience=99,
        balance=0.0, precision="bfloat16", seed=seed,
    )  # fmt: skip


def _side(small: bool) -> int:
    return 512 if small else 768


@dataclass(frozen=True)
class _Material:
    """Pairs with labels, those that the student is taught on, and what the networks begin with."""

    labelled: Samples
    taught: Samples
    validation: Samples
    student: Checkpoint
    teacher: Checkpoint


def _material(pairs: Pairs, seed: int, small: bool) -> _Material:
    tiles = place("train", pairs, seed, _side(small))
    hidden = np.arange(tiles.sizes["tile"]) % FEW > 0
    labelled, others = select(tiles, ~hidden), select(tiles, hidden)
    others = others.assign_coords(split=("tile", ["target"] * others.sizes["tile"]))
    most = round(UNLABELLED * labelled.sizes["tile"])
    taught = concatenate_tiles([labelled, unlabelled_pairs(others, most)])
    standardisation = standardise_optical(labelled)
    network = NetworkSettings(model="unet", width=4 if small else 8)
    return _Material(
        repeated(paired_samples(labelled, standardisation)),
        repeated(paired_samples(taught, standardisation)),
        paired_samples(place("validation", pairs, seed, _side(small)), standardisation),
        untrained(labelled, network, seed),
        untrained(labelled, network, seed, standardisation, fused=True),
    )


def _test(seed: int, small: bool) -> Samples:
    return radar_samples(place("test", Pairs(), seed, _side(small)))


def place(split: str, pairs: Pairs, seed: int, side: int, size: int = TILE) -> xr.Dataset:
    """Return the tiles of a simulated place: radar at the peak, the optical image as bad as asked.

    Tiles have `size` px.
    Backscatter lies on the map grid at one incidence angle, with speckle; the later the optical
    image, the more of the flood has drained away.
    """
    number = 10 * seed + PLACES[split]
    peak = landscape(number, side, DEPTH_M)
    later = landscape(number, side, max(DEPTH_M - RECESSION_M_PER_DAY * pairs.days, 0.1))
    draw = np.random.default_rng(number)
    day = draw_day(draw, draw_place(draw, BIOME))
    angle = np.full((side, side), 38.0)
    bands = [
        10 * np.log10(power * draw.gamma(LOOKS, 1 / LOOKS, power.shape))
        for power in surface_backscatter(peak, day, angle, flooded=True)[0]
    ]
    image = np.clip((np.stack(bands) + 30) / 17.5 - 1, -1, 1)
    optical = optical_image(later, True, pairs.cloud, number)
    optical[:-1, optical[-1] > 0] = np.nan
    moved = np.roll(optical[:-1], round(pairs.shift), axis=2)
    label = (peak.label > 0).astype(np.uint8)
    return tiles_of(image, label[np.newaxis], moved, split, number, size)


def landscape(number: int, side: int, depth: float) -> Landscape:
    """Return a simulated place, flooded to a depth."""
    draw = np.random.default_rng(number)
    hilly = replace(draw_place(draw, BIOME), relief=RELIEF_M)
    return make_landscape(draw, hilly, side, 10.0, depth=depth)


def tiles_of(
    image: NDArray[np.floating],
    label: NDArray[np.uint8],
    optical: NDArray[np.float32],
    split: str,
    number: int,
    size: int,
) -> xr.Dataset:
    """Cut arrays (band, y, x) into tiles."""
    image, label, optical = (blocks(array, size) for array in (image, label, optical))
    count = len(image)
    index: dict[str, list[object]] = {
        "tile_id": [f"{split}_{at}" for at in range(count)],
        "event": [str(number)] * count,
        "scene": [str(number)] * count,
        "split": [split] * count,
        "row": [0] * count,
        "col": list(range(count)),
    }
    recipe = Recipe(quantity="sigma0", spacing=10.0).for_inputs(("vv", "vh"))
    names = [name for name in CHANNELS if name != "cloud"]
    return tile_dataset(image, label[:, 0], index, recipe, ("dry", "water"), optical, names)


def blocks(array: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Return (band, y, x) as (tile, band, y, x)."""
    bands, height, width = array.shape
    cut = array.reshape(bands, height // size, size, width // size, size)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, bands, size, size)


def repeated(samples: Samples) -> Samples:
    """Return the tiles several times, so that an epoch has enough steps."""
    return samples.take(torch.arange(PASSES * len(samples)) % len(samples))
