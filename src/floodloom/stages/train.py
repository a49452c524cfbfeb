"""The stage `train`: a segmentation network from labelled, and maybe pseudo-labelled, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.augment import Augmentation, radar_noise
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data import radar_samples
from floodloom.learning.journal import Sidecars
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.splits import training_and_validation
from floodloom.learning.supervise import fine_tune, learn, require_fit, untrained
from floodloom.log import get_logger
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import concatenate_tiles, open_tiles

_log = get_logger(__name__)


def train(
    *,
    tiles: list[Path],
    out: Path,
    pseudo: Sequence[Path] = (),
    init: Path | None = None,
    model: str = "unet",
    seed: int = 0,
    width: int = 16,
    epochs: int = 15,
    fine_tune_epochs: int = 8,
    batch: int = 8,
    learning_rate: float = 1e-3,
    fine_tune_learning_rate: float = 3e-4,
    weight_decay: float = 1e-4,
    loss: str = "ce_dice",
    balance: float = 0.5,
    speckle_looks: float | None = 20.0,
    offset_db: float = 1.0,
    average: float = 0.0,
    patience: int = 10,
    validation_share: float = 0.2,
    precision: str = "auto",
    threads: int = 1,
) -> Path:
    """Train a network on labelled tiles.

    Parameters
    ----------
    tiles
        Tile stores; tiles of the split `train` are trained on, those of `validation` choose the
        best epoch and set the temperature.
    out
        Checkpoint (.safetensors). The history of the epochs grows beside it (.history.jsonl).
    pseudo
        Pseudo-labelled tile stores to train on as well.
    init
        Checkpoint to fine-tune; its architecture is kept. If its validation IoU isn't reached,
        its weights are kept, too. With nothing but empty pseudo-labelled stores it is passed on.
    model
        Architecture, see `floodloom models`.
    seed
        Of the weights, the draw and the augmentation.
    width
        Channels of the network's first level.
    epochs
        Passes over the tiles.
    fine_tune_epochs
        Passes over the tiles when starting from `init`.
    batch
        Tiles per step.
    learning_rate
        Highest learning rate.
    fine_tune_learning_rate
        Highest learning rate when starting from `init`.
    weight_decay
        Of AdamW.
    loss
        cross_entropy, dice, ce_dice or focal.
    balance
        0 draws tiles alike, 1 by what they hold of each class.
    speckle_looks
        Looks of the speckle added in training; none adds no speckle.
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
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    opened = open_tiles(tiles)
    start = untrained(opened, model, width, seed) if init is None else load_checkpoint(init)
    require_fit(start, opened, str(init))
    training, validation = training_and_validation(opened, validation_share)
    if pseudo:
        extra = open_tiles(pseudo)
        recipe_of(opened).require_inputs(recipe_of(extra), "pseudo")
        if init is not None and not extra.sizes["tile"]:
            _log.info("no pseudo labels: %s is passed on", init)
            passed_on = {"kept": "initial weights", "reason": "no pseudo labels"}
            return save_checkpoint(replace(start, notes=passed_on), out)
        training = concatenate_tiles([training, extra])
    plan = TrainingPlan(
        epochs=epochs if init is None else fine_tune_epochs,
        batch=batch,
        learning_rate=learning_rate if init is None else fine_tune_learning_rate,
        weight_decay=weight_decay,
        patience=patience,
        balance=balance,
        average=average,
        precision=precision,
        seed=seed,
    )
    method = learn if init is None else fine_tune
    learned = method(
        start,
        radar_samples(training),
        radar_samples(validation),
        plan,
        loss=loss,
        augmentation=Augmentation(radar_noise(start.recipe, speckle_looks, offset_db)),
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("train")), out)
