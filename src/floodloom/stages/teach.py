"""The stage `teach`: a network of optical images, from tiles that have them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.optical import (
    OPTICAL_DROP,
    choose_labels,
    fused_samples,
    has_optical,
    optical_channels,
    optical_samples,
    standardise_optical,
)
from floodloom.learning.data.splits import select, training_and_validation
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.data.zarr_tiles import load_tiles, locate_tiles
from floodloom.learning.distillation.settings import TeachSettings
from floodloom.learning.network import untrained
from floodloom.learning.training.state import Sidecars
from floodloom.learning.training.train import train_checkpoint
from floodloom.outputs import writes
from floodloom.tiles.store import open_tiles


@writes("out")
def teach(
    *,
    tiles: list[Path],
    out: Path,
    settings: TeachSettings = TeachSettings(),
    threads: int = 1,
) -> Path:
    """Train a network of the optical images of tiles, and maybe of their radar bands, too.

    Parameters
    ----------
    tiles
        Tile stores. Tiles without a clear optical pixel are left out, unless the network learns to
        do without, by radar.
    out
        Checkpoint (.safetensors) whose inputs are optical channels, behind the radar bands if it
        takes those.
    settings
        How to train.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    opened = choose_labels(locate_tiles(open_tiles(tiles), tiles), settings.labels)
    names = optical_channels(opened, settings.channels)
    seen = opened if settings.radar else select(opened, has_optical(opened))
    training, validation = training_and_validation(seen)
    standardisation = standardise_optical(training, names)
    load = partial(
        fused_samples if settings.radar else optical_samples, standardisation=standardisation
    )
    start = untrained(opened, settings, settings.seed, standardisation, fused=settings.radar)
    noise = radar_noise(start.recipe, settings.speckle_looks, settings.offset_db)
    augmentation = Augmentation(second_sensor=len(start.recipe.bands), elastic=settings.elastic)
    if settings.radar:
        augmentation = replace(augmentation, noise=noise, sensor_drop=OPTICAL_DROP)
    tiles_seen = load_tiles(training, settings.memory_gib, load)
    learned = train_checkpoint(
        start,
        TrainingSet.of(tiles_seen, len(start.classes)),
        load_tiles(validation, settings.memory_gib, load),
        settings,
        augmentation=augmentation,
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("teach", settings.modules())), out)
