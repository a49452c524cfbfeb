"""From tiles without labels to a checkpoint that a training starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from floodloom.errors import CheckpointError, InputError
from floodloom.learning.checkpoint import PRETRAINING, Checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.samples import Tiles
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.unsupervised.task import learn
from floodloom.learning.unsupervised.tasks import TASKS

NOTE = "pretrained"
"""Note of a checkpoint whose training began with such weights: their record."""
_RECORDED = ("seed", "epochs", "batch", "learning_rate", "schedule", "weight_decay")


def pretrain_checkpoint(fresh: Checkpoint, tiles: Tiles, settings: TrainSettings) -> Checkpoint:
    """Return a checkpoint whose network has learnt a task without labels.

    Parameters
    ----------
    fresh
        With random weights; those of its classifier stay as they are.
    tiles
        What from.
    settings
        `encoder_weights` names the task.

    Raises
    ------
    InputError
        If no task is named, or there is no tile.
    TrainingError
        If the loss is no longer finite.
    """
    name = settings.pretraining
    if name is None:
        tasks = ", ".join(TASKS.names)
        raise InputError(f"pretrain: encoder_weights names no task; choose one of {tasks}")
    if not len(tiles):
        raise InputError("pretrain: no tile is in the splits train and target; cut some")
    torch.manual_seed(settings.seed)
    network = fresh.model()
    task = TASKS.load(name)(network, fresh.recipe.bands)
    noise = radar_noise(fresh.recipe, settings.speckle_looks, settings.offset_db)
    history, execution = learn(task, tiles, settings, Augmentation(noise, elastic=settings.elastic))
    record: dict[str, Any] = {PRETRAINING: name, "tiles": len(tiles), "execution": str(execution)}
    record |= settings.model_dump(mode="json", include=set(_RECORDED))
    weights = {key: tensor.cpu() for key, tensor in network.state_dict().items()}
    return replace(fresh, weights=weights, training=record, history=history)


def starting(pretrained: Checkpoint) -> Checkpoint:
    """Return pretrained weights as those that a training starts from, and a note of their origin.

    Raises
    ------
    CheckpointError
        If the weights aren't pretrained.
    """
    if not pretrained.is_pretrained:
        raise CheckpointError("checkpoint: it isn't pretrained; give one of `floodloom pretrain`")
    return replace(pretrained, training={}, history=(), notes={NOTE: dict(pretrained.training)})
