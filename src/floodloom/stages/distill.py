"""The stage `distill`: a radar student beside a frozen teacher that sees optical images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.optical import labelled_for, paired_samples, unlabelled_pairs
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.zarr_tiles import located, tiles_of
from floodloom.learning.distillation.student import distill_student
from floodloom.learning.distillation.teacher import require_teacher
from floodloom.learning.distillation.terms import Distillation
from floodloom.learning.network import Network, untrained
from floodloom.learning.training.plan import TrainingPlan
from floodloom.learning.training.training_log import Sidecars
from floodloom.outputs import writes
from floodloom.tiles.store import concatenate_tiles, open_tiles


@writes("out")
def distill(
    *,
    tiles: list[Path],
    teacher: Path,
    out: Path,
    model: str = "unet",
    seed: int = 0,
    width: int = 16,
    encoder: str | None = None,
    encoder_weights: Path | None = None,
    upsampling: str | None = None,
    epochs: int = 15,
    batch: int = 8,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    loss: str = "ce_dice",
    labels: str = "given",
    unlabelled: float = 0.0,
    from_teacher: bool = True,
    feature_weight: float = 0.0,
    logit_weight: float = 1.0,
    softening: float = 2.0,
    attention_weight: float = 0.0,
    relation_weight: float = 0.0,
    confidence: float = 0.0,
    tolerance: int = 2,
    everywhere: bool = True,
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
    """Train a radar network that also learns from a teacher where the sky was clear.

    If it knows more than the teacher where held-out tiles show an optical image, the labels alone
    are tried, too, and the better network on the held-out tiles is kept.

    Parameters
    ----------
    tiles
        Tile stores; tiles without an optical image give the supervised loss only.
    teacher
        Checkpoint of `teach`; its weights don't change.
    out
        Checkpoint (.safetensors) that takes radar alone.
    model
        Architecture of the student; that of the teacher unless there is a reason.
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
        Supervised loss: cross_entropy, dice, ce_dice or focal.
    labels
        given, or water_index: labels from MNDWI (NDWI without short-wave infrared) alone, for
        places that have none.
    unlabelled
        Greatest number of tiles without labels per training tile on which the student learns from
        the teacher, too; 0 takes none. They are those of the split `target` that have an optical
        image; their labels aren't looked at.
    from_teacher
        Start from the teacher's weights wherever they fit; members of an ensemble differ less then.
    feature_weight
        Weight of the distance to the teacher's features.
    logit_weight
        Weight of the divergence from the teacher's softened logits.
    softening
        Temperature that softens both networks' logits.
    attention_weight
        Weight of the divergence of where each channel looks.
    relation_weight
        Weight of the difference of the affinities of regions.
    confidence
        Least probability of the teacher's class where it is listened to; 0 listens everywhere.
    tolerance
        Shift between radar and optical image that is looked for, px; 0 looks for none.
    everywhere
        Listen under clouds and without optical image, too, to a teacher that copes with that
        (`optical_drop` of `teach`).
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
    guide = load_checkpoint(teacher)
    opened = labelled_for(located(open_tiles(tiles), tiles), labels)
    network = Network(model, width, encoder, upsampling, encoder_weights)
    start = untrained(opened, network, seed)
    require_teacher(guide, start, str(teacher))
    training, validation = training_and_validation(opened, validation_share)
    if unlabelled:
        others = unlabelled_pairs(opened, round(unlabelled * training.sizes["tile"]))
        training = concatenate_tiles([training, others])
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
    load = partial(paired_samples, standardisation=Standardisation(**guide.statistics))
    learned = distill_student(
        start,
        guide,
        tiles_of(training, memory_gib, load),
        tiles_of(validation, memory_gib, load),
        plan,
        settings=Distillation(
            feature_weight,
            logit_weight,
            softening,
            attention_weight,
            relation_weight,
            confidence,
            tolerance,
            everywhere,
        ),
        loss=loss,
        from_teacher=from_teacher,
        augmentation=Augmentation(radar_noise(start.recipe, speckle_looks, offset_db)),
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("distill")), out)
