"""What a network learns without labels, and how: a task, and the loop over its steps."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples, Tiles, prefetch_batches
from floodloom.learning.network import Execution, choose_execution, keep_memory
from floodloom.learning.training.adamw import AdamW
from floodloom.learning.training.loop import CLIP
from floodloom.learning.training.schedule import set_rate
from floodloom.learning.training.settings import TrainingSettings
from floodloom.learning.training.state import RunningLoss, progress_bar
from floodloom.log import get_logger
from floodloom.models.base import Segmenter

_log = get_logger(__name__)


class Task(nn.Module, ABC):
    """A network with what it needs to learn without labels.

    Parameters
    ----------
    network
        What learns.
    bands
        Names of its input bands.
    """

    def __init__(self, network: Segmenter, bands: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.bands = tuple(bands)

    @abstractmethod
    def forward(self, batch: Samples, seeds: Tensor, augmentation: Augmentation) -> Tensor:
        """Return what is minimised on a batch, ().

        Parameters
        ----------
        batch
            Tiles as they are; their labels must count for nothing.
        seeds
            (tile,) int64, from which all that is random about a tile follows.
        augmentation
            Makes a view of tiles by their seeds.
        """

    def follow(self) -> None:
        """Do what has to be done after a step."""


def learn(
    task: Task, tiles: Tiles, settings: TrainingSettings, augmentation: Augmentation
) -> tuple[tuple[dict[str, Any], ...], Execution]:
    """Learn a task from all tiles alike; the task ends with the last weights.

    Parameters
    ----------
    task
        What is learnt; its network learns along.
    tiles
        What from; labels don't count.
    settings
        Seed, epochs, batch, learning rate and its schedule, weight decay and precision count.
    augmentation
        Makes views.

    Returns
    -------
    tuple
        A record of each epoch, and what it ran in.

    Raises
    ------
    TrainingError
        If the loss is no longer finite.
    """
    keep_memory()
    execution = choose_execution(task.network, settings.precision)
    execution.place(task)
    parameters = [one for one in task.parameters() if one.requires_grad]
    optimizer = AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=False
    )
    generator = torch.Generator().manual_seed(settings.seed)
    steps = math.ceil(len(tiles) / settings.batch)
    task.train()
    history = []
    for epoch in range(settings.epochs):
        started, running = time.perf_counter(), RunningLoss(epoch + 1)
        drawn = torch.randperm(len(tiles), generator=generator)
        order = torch.split(drawn, settings.batch)
        drawn = torch.randint(2**62, (len(tiles),), generator=generator)
        seeds = torch.split(drawn, settings.batch)
        read = prefetch_batches(tiles, order, pin=execution.pins(tiles))
        described = f"pretraining {epoch + 1}/{settings.epochs}"
        batches = zip(progress_bar(read, described, steps), seeds, strict=True)
        for number, (batch, own) in enumerate(batches, epoch * steps):
            set_rate(optimizer, settings, number, steps * settings.epochs)
            loss = _step(task, optimizer, execution, augmentation, execution.samples(batch), own)
            running.add(loss, batch.ids)
        seconds = round(time.perf_counter() - started, 2)
        history.append({"epoch": epoch + 1, "loss": running.mean(), "seconds": seconds})
        _log.info("pretraining: epoch %d, loss %.4f", epoch + 1, history[-1]["loss"])
    return tuple(history), execution


def _step(
    task: Task,
    optimizer: AdamW,
    execution: Execution,
    augmentation: Augmentation,
    batch: Samples,
    seeds: Tensor,
) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    with execution.autocast():
        loss: Tensor = task(batch, seeds, augmentation)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.parameters(), CLIP)
    optimizer.step()
    task.follow()
    return loss.detach()
