"""The state of a training, saved to resume from, and its log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import swa_utils

from floodloom.errors import CheckpointError, TrainingError
from floodloom.files import atomic_path
from floodloom.log import get_logger
from floodloom.models.tensors import digest_of, open_safetensors, read_tensors

_log = get_logger(__name__)
Parameters = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Progress:
    """Records of the epochs done, the best epoch (from 1) and its weights."""

    history: tuple[dict[str, Any], ...] = ()
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.history)

    @property
    def best(self) -> dict[str, Any]:
        """Record of the best epoch."""
        return self.history[self.best_epoch - 1]

    def after(self, record: dict[str, Any], module: nn.Module, monitor: str = "iou") -> Progress:
        """Return the progress after one more epoch, which left `module` and scored `record`."""
        history = (*self.history, record)
        if self.history and _rank(record, monitor) <= _rank(self.best, monitor):
            return Progress(history, self.best_epoch, self.best_weights)
        weights = {name: t.detach().clone().contiguous() for name, t in module.state_dict().items()}
        return Progress(history, len(history), weights)


def _rank(record: dict[str, Any], monitor: str) -> tuple[float, float]:
    return record[monitor], -record["validation_loss"]


@dataclass(frozen=True)
class TrainingState:
    """Everything of a training that changes from step to step.

    `generator` draws the tiles.
    """

    module: nn.Module
    averaged: swa_utils.AveragedModel | None
    optimizer: torch.optim.Optimizer
    generator: torch.Generator

    @property
    def kept(self) -> nn.Module:
        """What is validated and kept: the moving average if there is one, else the module."""
        if self.averaged is None:
            return self.module
        average: nn.Module = self.averaged.module
        return average

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state as named tensors."""
        moments = self.optimizer.state_dict()["state"]
        averaged = {} if self.averaged is None else self.averaged.state_dict()
        return {
            **{f"module/{name}": tensor for name, tensor in self.module.state_dict().items()},
            **{f"averaged/{name}": tensor for name, tensor in averaged.items()},
            **{f"moment/{i}/{name}": t for i, row in moments.items() for name, t in row.items()},
            "random/draw": self.generator.get_state(),
            "random/torch": torch.get_rng_state(),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the state from what `tensors` gave."""
        self.module.load_state_dict(_part(tensors, "module/"))
        if self.averaged is not None:
            self.averaged.load_state_dict(_part(tensors, "averaged/"))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _part(tensors, "moment/").items():
            index, name = key.split("/")
            moments.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.generator.set_state(tensors["random/draw"])
        torch.set_rng_state(tensors["random/torch"])


def _ema_update(decay: float) -> Callable[[Parameters, Parameters, Tensor | int], None]:
    """Return the update of a moving average, whose memory grows with the number of steps.

    After n steps the decay is at most (1 + n) / (10 + n): a fixed one would still hold the first
    weights, and their batch statistics, after hundreds of steps (Abadi et al. 2016, TensorFlow,
    ExponentialMovingAverage).
    """

    @torch.no_grad()
    def update(average: Parameters, current: Parameters, steps: Tensor | int) -> None:
        count = float(steps)
        share = 1 - min(decay, (1 + count) / (10 + count))
        for ours, new in zip(average, current, strict=True):
            if ours.is_floating_point():
                ours.lerp_(new.to(ours), share)
            else:
                ours.copy_(new)

    return update


def moving_average(module: nn.Module, decay: float) -> swa_utils.AveragedModel | None:
    """Return the moving average of a module's weights and statistics; None where `decay` is 0."""
    if not decay:
        return None
    return swa_utils.AveragedModel(module, multi_avg_fn=_ema_update(decay), use_buffers=True)


def save_state(path: Path | None, identity: str, progress: Progress, state: TrainingState) -> None:
    """Write the state of a training after an epoch; without a path nothing is written.

    `identity` differs where settings or tiles do.
    """
    if path is None:
        return
    best = {f"best/{name}": tensor for name, tensor in progress.best_weights.items()}
    tensors = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in (best | state.tensors()).items()
    }
    metadata = {
        "identity": identity,
        "best_epoch": str(progress.best_epoch),
        "history": json.dumps(progress.history),
        "digest": digest_of(tensors),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_state(path: Path | None, identity: str, state: TrainingState) -> Progress:
    """Put a killed training back to where it was.

    Returns
    -------
    Progress
        None made if there is no state, it is damaged, or it belongs to another training.
    """
    if path is None or not path.is_file():
        return Progress()
    try:
        with open_safetensors(path, "state of a training", "remove it") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("identity") != identity:
                return Progress()
            tensors = read_tensors(stored)
        history = tuple(json.loads(metadata["history"]))
        best = int(metadata["best_epoch"])
    except (CheckpointError, KeyError, ValueError):
        return Progress()
    if metadata.get("digest") != digest_of(tensors):
        _log.warning("%s: damaged, so training begins anew", path)
        return Progress()
    state.restore(tensors)
    _log.info("training resumes after epoch %d, found in %s", len(history), path.name)
    return Progress(history, best, _part(tensors, "best/"))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


Item = TypeVar("Item")


@dataclass(frozen=True)
class Sidecars:
    """Files beside the output: one JSON line per epoch, and the state of a killed training."""

    history: Path | None = None
    state: Path | None = None

    @classmethod
    def of(cls, out: Path) -> Sidecars:
        """Return the usual names beside `out`."""
        return cls(out.with_suffix(".history.jsonl"), out.with_suffix(".state.safetensors"))


def log_epoch(progress: Progress, epochs: int, sidecars: Sidecars) -> None:
    """Log the last epoch of a training of so many, and add it to the history."""
    record = progress.history[-1]
    _log.info(
        "epoch %d/%d: loss %.4f, validation loss %.4f, IoU %.4f, %.1f s",
        record["epoch"],
        epochs,
        record["loss"],
        record["validation_loss"],
        record["iou"],
        record["seconds"],
    )
    write_history(sidecars, progress.history)


def write_history(sidecars: Sidecars, history: Sequence[Mapping[str, Any]]) -> None:
    """Write one line per epoch, in place of those that are there."""
    if sidecars.history is not None:
        rows = "".join(json.dumps(row) + "\n" for row in history)
        with atomic_path(sidecars.history) as temporary:
            temporary.write_text(rows, encoding="utf-8")


def progress_bar(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Iterate over `items` under a progress bar, where a person waits at a terminal."""
    console = Console(stderr=True)
    hidden = not console.is_terminal
    tracked = track(items, description, total, console=console, transient=True, disable=hidden)
    yield from tracked


class RunningLoss:
    """Mean of an epoch's losses, and an error as soon as one is no number.

    A loss is read when the next one comes, so that a GPU needn't stop after each step.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.losses: list[float] = []
        self._last: tuple[Tensor, Sequence[str]] | None = None

    def add(self, loss: Tensor, tiles: Sequence[str]) -> None:
        """Add the loss () of the batch of these tiles.

        Raises
        ------
        TrainingError
            If the loss before it wasn't finite; the message names epoch, step and tiles.
        """
        self._read()
        self._last = loss.detach(), tiles

    def mean(self) -> float:
        """Return the mean loss; raises as `add` for the last one."""
        self._read()
        return sum(self.losses) / max(len(self.losses), 1)

    def _read(self) -> None:
        if self._last is None:
            return
        value, tiles = float(self._last[0]), self._last[1]
        self._last = None
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {self.epoch}, step {len(self.losses) + 1}, "
                f"tiles {', '.join(tiles)}; check them, lower `learning_rate` or set "
                "`precision: float32`"
            )
        self.losses.append(value)
