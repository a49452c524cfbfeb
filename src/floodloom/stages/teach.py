"""The stage `teach`: an optical teacher from tiles with optical images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.errors import InputError
from floodloom.learning.augment import Augmentation
from floodloom.learning.checkpoint import save_checkpoint
from floodloom.learning.data import has_optical, optical_samples, standardise_optical
from floodloom.learning.journal import Sidecars
from floodloom.learning.network import Network, untrained
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.splits import select, training_and_validation
from floodloom.learning.supervise import learn
from floodloom.tiles.store import open_tiles


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
    epochs: int = 15,
    batch: int = 8,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    loss: str = "ce_dice",
    balance: float = 0.5,
    patience: int = 10,
    validation_share: float = 0.2,
    precision: str = "auto",
    threads: int = 1,
) -> Path:
    """Train a network on the optical images of labelled tiles.

    Parameters
    ----------
    tiles
        Tile stores; tiles without a clear optical pixel are left out.
    out
        Checkpoint (.safetensors) whose inputs are the optical channels.
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
    balance
        0 draws tiles alike, 1 by what they hold of each class.
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
    seen = select(opened, has_optical(opened))
    if not seen.sizes["tile"]:
        raise InputError("tiles: none has an optical image; cut them with `--optical`")
    training, validation = training_and_validation(seen, validation_share)
    standardisation = standardise_optical(training)
    network = Network(model, width, encoder, upsampling, encoder_weights)
    plan = TrainingPlan(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        patience=patience,
        balance=balance,
        precision=precision,
        seed=seed,
    )
    learned = learn(
        untrained(opened, network, seed, standardisation),
        optical_samples(training, standardisation),
        optical_samples(validation, standardisation),
        plan,
        loss=loss,
        augmentation=Augmentation(),
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("teach")), out)
