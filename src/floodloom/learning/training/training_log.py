"""The record of a training while it runs: log lines, JSON lines, TensorBoard, a progress bar."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from torch import Tensor

from floodloom.errors import ConfigError, TrainingError
from floodloom.files import atomic_path
from floodloom.learning.training.state import Progress
from floodloom.log import get_logger

_log = get_logger(__name__)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Sidecars:
    """Files beside the output.

    One JSON line per epoch, the state of a killed training, and a folder for TensorBoard.
    """

    history: Path | None = None
    state: Path | None = None
    board: Path | None = None

    @classmethod
    def of(cls, out: Path, *, tensorboard: bool = False) -> Sidecars:
        """Return the usual names beside `out`.

        Raises
        ------
        ConfigError
            If TensorBoard is chosen but isn't installed.
        """
        if tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "tensorboard: not installed; `pip install floodloom[tensorboard]` or leave it off"
            )
        board = out.with_suffix(".tensorboard") if tensorboard else None
        return cls(out.with_suffix(".history.jsonl"), out.with_suffix(".state.safetensors"), board)


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
    if sidecars.board is not None:
        _draw(sidecars.board, record)


def write_history(sidecars: Sidecars, history: Sequence[Mapping[str, Any]]) -> None:
    """Write one line per epoch, in place of those that are there."""
    if sidecars.history is not None:
        rows = "".join(json.dumps(row) + "\n" for row in history)
        with atomic_path(sidecars.history) as temporary:
            temporary.write_text(rows, encoding="utf-8")


def _draw(folder: Path, record: dict[str, Any]) -> None:
    """Add an epoch's numbers to TensorBoard; a file per epoch, so that a kill loses none."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as board:
        for name, value in record.items():
            if name != "epoch":
                board.add_scalar(name, value, record["epoch"])


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
