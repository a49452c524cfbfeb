"""The stage `train`: a segmentation network from labelled, and maybe pseudo-labelled, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import xarray as xr

from floodloom.digest import code_digest
from floodloom.files import read_json
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise, strong_views
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.training_set import gather
from floodloom.learning.data.zarr_tiles import located, radar_tiles
from floodloom.learning.losses.semisupervised import SemiSupervision
from floodloom.learning.network import Network, require_fit, untrained
from floodloom.learning.relabelling.acceptance import Guard
from floodloom.learning.relabelling.adaptation import TARGETS, Adapted, adapted, re_estimated
from floodloom.learning.relabelling.gates import Limits
from floodloom.learning.relabelling.labeller import Elsewhere, with_voice
from floodloom.learning.training.distributed import joined
from floodloom.learning.training.objective import objective_of
from floodloom.learning.training.plan import TrainingPlan
from floodloom.learning.training.supervise import blended, learn
from floodloom.learning.training.training_log import Sidecars
from floodloom.log import get_logger
from floodloom.outputs import writes
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import open_tiles

_log = get_logger(__name__)


@writes("out")
def train(
    *,
    tiles: list[Path],
    out: Path,
    pseudo: Sequence[Path] = (),
    init: Path | None = None,
    audit: Path | None = None,
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
    stretch: float = 0.0,
    from_scratch: bool = False,
    keep_start: float = 0.0,
    guard: bool = True,
    match_histograms: bool = False,
    batch_statistics: float = 0.75,
    pseudo_share: float | None = 0.5,
    pseudo_weight: float = 1.0,
    consistency: str = "pseudo",
    consistency_threshold: float = 0.95,
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
        Checkpoint to fine-tune; its architecture is kept. If the guard refuses what was learned,
        its weights are kept, too. With nothing but empty pseudo-labelled stores it is passed on.
    audit
        Audit of the round of relabelling, whose limits the new model must keep to as well.
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
    stretch
        Greatest change of gain (factor) and offset (standard deviations) of the bands.
    from_scratch
        Start from fresh weights instead of those of `init`, which then only has to be reached.
    keep_start
        Share of the weights of `init` in the mean of the weights before and after fine-tuning on
        pseudo-labelled tiles; 0 keeps those after.
    guard
        Keep the weights of `init` if validation IoU falls too far, or if what is predicted of the
        pseudo-labelled tiles leaves the limits of the round.
    match_histograms
        Learn from every labelled tile once more in the backscatter histogram of the
        pseudo-labelled ones.
    batch_statistics
        Share of the pseudo-labelled tiles in the statistics of batch normalisation at last, if the
        same does no harm on held-out tiles; 0 leaves them.
    pseudo_share
        Share of each batch that pseudo-labelled tiles make up; none: that of all tiles.
    pseudo_weight
        Weight of their loss against that of the labelled tiles.
    consistency
        How they teach: pseudo (by their labels), unimatch or mean-teacher (by what the moving
        average of the weights says of them as it learns).
    consistency_threshold
        Least confidence of a pixel that teaches, with unimatch.
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
    opened = located(open_tiles(tiles), tiles)
    network = Network(model, width, encoder, upsampling, encoder_weights)
    before = None if init is None else load_checkpoint(init)
    fresh = untrained(opened, network, seed)
    require_fit(before or fresh, opened, str(init))
    training, validation = training_and_validation(opened, validation_share, folds, fold)
    extra = _pseudo_labelled(pseudo, recipe_of(opened))
    held_out = radar_tiles(validation, memory_gib)
    watch = Guard(held_out, objective_of(loss)[0], batch, limits=_limits(audit))
    if before is not None and pseudo and extra is None:
        poor = watch.poor(before)
        if not poor:
            _log.info("no pseudo labels: %s is passed on", init)
            passed_on = {"kept": "initial weights", "reason": "no pseudo labels"}
            kept = replace(before, notes=passed_on)
            return save_checkpoint(with_voice(kept, held_out, _greatest_likelihood(audit)), out)
        _log.warning("%s: %s, so training begins anew on the labels alone", init, poor)
        before = None
    tuned = before is not None and not from_scratch
    plan = TrainingPlan(
        epochs=fine_tune_epochs if tuned else epochs,
        batch=batch,
        learning_rate=fine_tune_learning_rate if tuned else learning_rate,
        weight_decay=weight_decay,
        micro_batch=micro_batch,
        patience=patience,
        monitor=monitor,
        pseudo_share=pseudo_share,
        balance=balance,
        space=space,
        average=average,
        precision=precision,
        seed=seed,
        workers=workers,
    )
    start = before if before is not None and tuned else fresh
    material = gather(training, extra, memory_gib, match=match_histograms)
    noise = radar_noise(start.recipe, speckle_looks, offset_db, ramp_db)
    with joined() as team:
        learned = learn(
            start,
            material.tiles,
            held_out,
            plan,
            loss=loss,
            augmentation=Augmentation(noise, band_drop, cutmix, stretch),
            sidecars=Sidecars.of(Path(out), tensorboard=tensorboard),
            places=material.places,
            pseudo=material.pseudo,
            semi=SemiSupervision(
                consistency,
                pseudo_weight,
                consistency_threshold,
                apart=pseudo_share is not None and _another_sensor(audit),
                strong=strong_views(start.recipe),
            ),
        )
        if tuned and material.pseudo is not None and keep_start:
            learned = blended(start, learned, held_out, share=keep_start, loss=loss)
        watch = replace(watch, target=material.target)
        if before is not None and guard:
            learned = watch(before, learned)
        step, elsewhere = Adapted(learned, learned), None
        if batch_statistics and material.target is not None:
            step = adapted(learned, material.target, watch, batch_statistics, known=before)
        if team.leads:
            if before is not None and material.target is not None:
                alike = Adapted(before, before)
                if step.changed:
                    alike = re_estimated(before, material.target, held_out, batch_statistics)
                elsewhere = Elsewhere(material.target, alike)
            learned = with_voice(
                step.checkpoint,
                held_out,
                _greatest_likelihood(audit),
                rehearsed=step.rehearsed,
                elsewhere=elsewhere,
            )
            save_checkpoint(replace(learned, code=code_digest("train")), out)
    return Path(out)


def _pseudo_labelled(paths: Sequence[Path], recipe: Recipe) -> xr.Dataset | None:
    """Return the pseudo-labelled tiles, None if there is no tile."""
    if not paths:
        return None
    extra = located(open_tiles(paths), paths)
    recipe.require_inputs(recipe_of(extra), "pseudo")
    return extra if extra.sizes["tile"] else None


def _limits(audit: Path | None) -> Limits:
    if audit is None:
        return Limits()
    found = read_json(audit)["limits"]
    low, high = found["water_share"]
    return Limits((low, high), found["flips"], found["iou_fall"], found["iou"])


def _another_sensor(audit: Path | None) -> bool:
    """Return whether the round's labels come from networks that had to be adapted to the tiles."""
    return audit is not None and TARGETS in read_json(audit)["batch_statistics"]


def _greatest_likelihood(audit: Path | None) -> float:
    """Return how much a scene's own word may weigh: as in the making of the round's labels."""
    return 0.0 if audit is None else float(read_json(audit)["greatest_likelihood"])
