"""The stage `teach`: a teacher that sees optical images, from tiles that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.optical import (
    fused_samples,
    has_optical,
    labelled_for,
    optical_channels,
    optical_samples,
    standardise_optical,
)
from floodloom.learning.data.splits import select, training_and_validation
from floodloom.learning.data.zarr_tiles import located, tiles_of
from floodloom.learning.network import Network, untrained
from floodloom.learning.training.plan import TrainingPlan
from floodloom.learning.training.supervise import learn
from floodloom.learning.training.training_log import Sidecars
from floodloom.outputs import writes
from floodloom.tiles.store import open_tiles


@writes("out")
def teach(
    *,
    tiles: list[Path],
    out: Path,
    model: str = "unet",
    seed: int = 0,
    width: int = 16,
    encoder: str | None = None,
    encoder_weights: Path | None = None,
    upsampling: str | None = None,
    epochs: int = 45,
    batch: int = 8,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    loss: str = "ce_dice",
    labels: str = "given",
    channels: Sequence[str] = (),
    radar: bool = True,
    optical_drop: float = 0.3,
    balance: float = 0.5,
    speckle_looks: float | None = 20.0,
    offset_db: float = 1.0,
    average: float = 0.0,
    patience: int = 10,
    validation_share: float = 0.2,
    precision: str = "auto",
    memory_gib: float = 4.0,
    workers: int = 2,
    threads: int = 1,
) -> Path:
    """Train a network that sees the optical images of tiles, and maybe the radar bands, too.

    Parameters
    ----------
    tiles
        Tile stores. Tiles without a clear optical pixel are left out, unless the network learns to
        do without (`optical_drop`).
    out
        Checkpoint (.safetensors) whose inputs are optical channels, behind the radar bands if it
        sees those.
    model
        Architecture, see `floodloom models`.
    seed
        Of the weights, the draw and the augmentation.
    width
        Channels of the network's first level.
    encoder
        vgg16, resnet18, resnet34, resnet50, mobilenet_v2 or xception; none takes
        the architecture's own.
    encoder_weights
        File (.safetensors) with ImageNet weights for the encoder; none starts from random ones.
    upsampling
        nearest, bilinear, bicubic, bed_of_nails, max_unpool, transposed, transposed_4x4 or
        transposed_3x3; none takes the architecture's own.
    epochs
        Passes over the tiles.
    batch
        Tiles per step.
    learning_rate
        Highest learning rate.
    weight_decay
        Of AdamW.
    loss
        cross_entropy, dice, ce_dice or focal.
    labels
        given, or water_index: labels from MNDWI (NDWI without short-wave infrared) alone, for
        places that have none.
    channels
        Optical channels and indices (ndwi, mndwi) to see; all when none is named.
    radar
        See the radar bands, too.
    optical_drop
        Probability that a tile loses its optical image, so that a network that sees the radar
        bands, too, works without it.
    balance
        0 draws tiles alike, 1 by what they hold of each class.
    speckle_looks
        Looks of the speckle added to the radar bands in training; none adds no speckle.
    offset_db
        Greatest offset per polarisation added in training, dB.
    average
        Decay of the moving average of the weights; 0 averages nothing.
    patience
        Epochs without a better validation IoU after which training stops.
    validation_share
        Share of the training tiles held out when no tile is in the validation split.
    precision
        auto, float32 or bfloat16; auto takes what is fastest here.
    memory_gib
        Tiles that take more are read from disk as they are drawn, GiB.
    workers
        Threads that read tiles ahead of the network.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    opened = labelled_for(located(open_tiles(tiles), tiles), labels)
    names = optical_channels(opened, channels)
    missing_too = radar and optical_drop > 0
    seen = opened if missing_too else select(opened, has_optical(opened))
    training, validation = training_and_validation(seen, validation_share)
    standardisation = standardise_optical(training, names)
    load = partial(fused_samples if radar else optical_samples, standardisation=standardisation)
    network = Network(model, width, encoder, upsampling, encoder_weights)
    plan = TrainingPlan(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        patience=patience,
        balance=balance,
        average=average,
        precision=precision,
        seed=seed,
        workers=workers,
    )
    start = untrained(opened, network, seed, standardisation, fused=radar)
    noise = radar_noise(start.recipe, speckle_looks, offset_db) if radar else None
    learned = learn(
        start,
        tiles_of(training, memory_gib, load),
        tiles_of(validation, memory_gib, load),
        plan,
        loss=loss,
        augmentation=Augmentation(
            noise,
            sensor_drop=optical_drop if radar else 0.0,
            second_sensor=len(start.recipe.bands),
        ),
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("teach")), out)
