"""How far a training is, and the safetensors file beside its output that lets it go on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from floodloom.errors import CheckpointError
from floodloom.files import atomic_path
from floodloom.log import get_logger
from floodloom.models.tensors import digest_of, open_safetensors, read_tensors

_log = get_logger(__name__)


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
class Machinery:
    """Everything of a training that changes from step to step."""

    module: nn.Module
    averaged: nn.Module | None
    optimizer: torch.optim.Optimizer
    draw: torch.Generator

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state as named tensors."""
        moments = self.optimizer.state_dict()["state"]
        averaged = {} if self.averaged is None else self.averaged.state_dict()
        return {
            **{f"module/{name}": tensor for name, tensor in self.module.state_dict().items()},
            **{f"averaged/{name}": tensor for name, tensor in averaged.items()},
            **{f"moment/{i}/{name}": t for i, row in moments.items() for name, t in row.items()},
            "random/draw": self.draw.get_state(),
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
        self.draw.set_state(tensors["random/draw"])
        torch.set_rng_state(tensors["random/torch"])


def save_state(path: Path | None, identity: str, progress: Progress, machinery: Machinery) -> None:
    """Write the state of a training after an epoch; without a path nothing is written.

    `identity` says which training it is: what differs in settings or data differs in it.
    """
    if path is None:
        return
    best = {f"best/{name}": tensor for name, tensor in progress.best_weights.items()}
    tensors = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in (best | machinery.tensors()).items()
    }
    metadata = {
        "identity": identity,
        "best_epoch": str(progress.best_epoch),
        "history": json.dumps(progress.history),
        "digest": digest_of(tensors),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_state(path: Path | None, identity: str, machinery: Machinery) -> Progress:
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
    machinery.restore(tensors)
    _log.info("training goes on after epoch %d, found in %s", len(history), path.name)
    return Progress(history, best, _part(tensors, "best/"))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
