"""What a training needs to go on after it was killed: one safetensors file beside its output."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from floodloom.files import atomic_path
from floodloom.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class TrainingState:
    """How far a training is: epochs done, their records, the best weights and their epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def after(self, record: dict[str, Any], module: nn.Module) -> TrainingState:
        """Return the state after one more epoch that left `module`."""
        history = [*self.history, record]
        if self.history and _rank(record) <= _rank(self.history[self.best_epoch - 1]):
            return TrainingState(record["epoch"], self.best_epoch, self.best_weights, history)
        weights = {name: t.detach().clone().contiguous() for name, t in module.state_dict().items()}
        return TrainingState(record["epoch"], record["epoch"], weights, history)


def _rank(record: dict[str, Any]) -> tuple[float, float]:
    return record["iou"], -record["validation_loss"]


def save_state(
    path: Path | None,
    identity: str,
    progress: TrainingState,
    module: nn.Module,
    averaged: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    draw: torch.Generator,
) -> None:
    """Write the state of a training after an epoch; without a path nothing is written."""
    if path is None:
        return
    moments = optimizer.state_dict()["state"]
    tensors = {
        **{f"best/{name}": tensor for name, tensor in progress.best_weights.items()},
        **{f"module/{name}": tensor for name, tensor in module.state_dict().items()},
        **{f"moment/{i}/{name}": t for i, row in moments.items() for name, t in row.items()},
        "random/draw": draw.get_state(),
        "random/torch": torch.get_rng_state(),
    }
    if averaged is not None:
        tensors |= {f"averaged/{name}": tensor for name, tensor in averaged.state_dict().items()}
    metadata = {
        "identity": identity,
        "best_epoch": str(progress.best_epoch),
        "history": json.dumps(progress.history),
    }
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(copies, temporary, metadata)


def load_state(
    path: Path | None,
    identity: str,
    module: nn.Module,
    averaged: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    draw: torch.Generator,
) -> TrainingState:
    """Put a killed training back to where it was.

    Returns
    -------
    TrainingState
        A fresh one if there is no state, or it belongs to another training (`identity`).
    """
    if path is None or not path.is_file():
        return TrainingState()
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("identity") != identity:
                return TrainingState()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return TrainingState()
    module.load_state_dict(_part(tensors, "module/"))
    if averaged is not None:
        averaged.load_state_dict(_part(tensors, "averaged/"))
    optimizer.load_state_dict({**optimizer.state_dict(), "state": _moments(tensors)})
    draw.set_state(tensors["random/draw"])
    torch.set_rng_state(tensors["random/torch"])
    history = json.loads(metadata["history"])
    _log.info("training goes on after epoch %d, found in %s", len(history), path.name)
    return TrainingState(
        len(history), int(metadata["best_epoch"]), _part(tensors, "best/"), history
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _moments(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _part(tensors, "moment/").items():
        index, name = key.split("/")
        moments.setdefault(int(index), {})[name] = tensor
    return moments
