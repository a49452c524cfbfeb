"""The stage `train`: a segmentation network from labelled, and maybe pseudo-labelled, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.augment import Augmentation, radar_noise
from floodloom.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from floodloom.learning.journal import Sidecars
from floodloom.learning.network import Network, require_fit, untrained
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.splits import places, training_and_validation
from floodloom.learning.stored import located, radar_tiles
from floodloom.learning.supervise import fine_tune, learn
from floodloom.learning.team import joined
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
    encoder: str | None = None,
    encoder_weights: Path | None = None,
    upsampling: str | None = None,
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
    micro_batch: int | None = None,
    space: float = 0.0,
    ramp_db: float = 0.0,
    band_drop: float = 0.0,
    cutmix: float = 0.0,
    monitor: str = "iou",
    folds: int | None = None,
    fold: int = 0,
    memory_gib: float = 4.0,
    workers: int = 2,
    tensorboard: bool = False,
    threads: int = 1,
) -> Path:
    """Train a network on labelled tiles.

    Under `torchrun` several processes share every batch, with the result of one process.

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
        cross_entropy, weighted_cross_entropy, dice, ce_dice, focal, border_cross_entropy or
        contrast; for sparse labels festa or scribble.
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
    micro_batch
        Tiles whose gradients are computed at once and added up; none takes the whole batch.
    space
        0 draws places with more tiles more often, 1 all places alike.
    ramp_db
        Greatest rise of an added ramp from a tile's middle to its corner, dB.
    band_drop
        Probability that a tile loses one of its bands.
    cutmix
        Probability that a box of another tile is mixed in.
    monitor
        Validation score that chooses the best epoch: iou, f1, miou, accuracy, mean_of_chip_iou.
    folds
        Folds over the events of the training and validation split; none takes the splits.
    fold
        Fold to validate on, from 0.
    memory_gib
        Tiles that take more are read from disk as they are drawn, GiB.
    workers
        Threads that read tiles ahead of the network.
    tensorboard
        Draw the history in TensorBoard, beside the checkpoint (.tensorboard).
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    fresh = init is None
    plan = TrainingPlan(
        epochs=epochs if fresh else fine_tune_epochs,
        batch=batch,
        learning_rate=learning_rate if fresh else fine_tune_learning_rate,
        weight_decay=weight_decay,
        micro_batch=micro_batch,
        patience=patience,
        monitor=monitor,
        balance=balance,
        space=space,
        average=average,
        precision=precision,
        seed=seed,
        workers=workers,
    )
    opened = located(open_tiles(tiles), tiles)
    network = Network(model, width, encoder, upsampling, encoder_weights)
    start = untrained(opened, network, seed) if init is None else load_checkpoint(init)
    require_fit(start, opened, str(init))
    training, validation = training_and_validation(opened, validation_share, folds, fold)
    if pseudo:
        extra = located(open_tiles(pseudo), pseudo)
        recipe_of(opened).require_inputs(recipe_of(extra), "pseudo")
        if init is not None and not extra.sizes["tile"]:
            return _pass_on(start, init, out)
        training = concatenate_tiles([training, extra])
    noise = radar_noise(start.recipe, speckle_looks, offset_db, ramp_db)
    with joined() as team:
        learned = (learn if fresh else fine_tune)(
            start,
            radar_tiles(training, memory_gib),
            radar_tiles(validation, memory_gib),
            plan,
            loss=loss,
            augmentation=Augmentation(noise, band_drop, cutmix),
            sidecars=Sidecars.of(Path(out), tensorboard=tensorboard),
            places=places(training),
        )
        if team.leads:
            save_checkpoint(replace(learned, code=code_digest("train")), out)
    return Path(out)


def _pass_on(start: Checkpoint, init: Path, out: Path) -> Path:
    _log.info("no pseudo labels: %s is passed on", init)
    passed_on = {"kept": "initial weights", "reason": "no pseudo labels"}
    return save_checkpoint(replace(start, notes=passed_on), out)
