"""Where and in which number format networks run."""

from __future__ import annotations

import ctypes
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from floodloom.errors import ConfigError
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.log import get_logger

_FASTER = 1.2  # a format must win by this much, so that noise doesn't choose it
_ROUNDS = 3
_KEEP_BELOW = (1 << 31) - 1  # bytes
_HELD = 0.25  # of the free memory of a GPU may hold tiles
_log = get_logger(__name__)


@dataclass(frozen=True)
class Execution:
    """Device, autocast to bfloat16 or not, channels-last memory or not."""

    device: torch.device
    bfloat16: bool = False
    channels_last: bool = False

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory format of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module here."""
        moved: nn.Module = module.to(self.device)
        return moved.to(memory_format=self.memory_format)  # type: ignore[call-overload,no-any-return]

    def image(self, image: Tensor) -> Tensor:
        """Move an image batch here."""
        return image.to(self.device).contiguous(memory_format=self.memory_format)

    def samples(self, batch: Samples) -> Samples:
        """Bring a batch here, its images in the memory format."""
        moved = batch.to(self.device)
        return replace(moved, image=self.image(moved.image))

    def hold(self, tiles: Tiles) -> Tiles:
        """Move tiles in memory to a GPU, if they take less than a quarter of what is free."""
        if self.device.type != "cuda" or not isinstance(tiles, Samples):
            return tiles
        free, _ = torch.cuda.mem_get_info()
        return tiles.to(self.device) if tiles.nbytes < free * _HELD else tiles

    def pins(self, tiles: Tiles) -> bool:
        """Return whether batches of these tiles should go through pinned memory."""
        there = isinstance(tiles, Samples) and tiles.image.device.type == self.device.type
        return self.device.type == "cuda" and not there

    def __str__(self) -> str:
        number = "bfloat16" if self.bfloat16 else "float32"
        return f"{self.device.type} {number}{' channels-last' if self.channels_last else ''}"


def default_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def keep_memory() -> None:
    """Let glibc reuse the memory of large activations instead of returning it to the kernel.

    Each layer would otherwise pay for zeroed pages, which takes as long as the convolutions. The
    arenas that glibc gives to threads can't keep memory of that size, so there must be one only:
    call it before any thread reads or computes, as one that is there stays and may be given to the
    thread that runs the network.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, _KEEP_BELOW)  # M_TRIM_THRESHOLD
        mallopt(-3, _KEEP_BELOW)  # M_MMAP_THRESHOLD
        mallopt(-8, 1)  # M_ARENA_MAX


def choose_execution(model: nn.Module, batch: Tensor, precision: str) -> Execution:
    """Choose how to train a model.

    Parameters
    ----------
    model
        The network; its state is left as it was.
    batch
        (N, band, y, x) float32, of the shape to train with.
    precision
        `float32`, `bfloat16`, or `auto`: on a GPU bfloat16, on a CPU what a training step is
        fastest in, measured. A measurement may come out differently on another machine; fix the
        precision where results must agree to the bit.

    Raises
    ------
    ConfigError
        If `precision` is none of these.
    """
    device = default_device()
    if precision == "float32":
        return Execution(device)
    if precision == "bfloat16" or (precision == "auto" and device.type == "cuda"):
        return Execution(device, bfloat16=True, channels_last=True)
    if precision != "auto":
        raise ConfigError(f"precision {precision!r}: choose auto, float32 or bfloat16")
    return _fastest(model, batch, device)


def _fastest(model: nn.Module, batch: Tensor, device: torch.device) -> Execution:
    candidates = [
        Execution(device),
        Execution(device, channels_last=True),
        Execution(device, bfloat16=True, channels_last=True),
    ]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for candidate in candidates:  # each is slower at first
        _step_time(model, batch, candidate)
    rounds = [[_step_time(model, batch, one) for one in candidates] for _ in range(_ROUNDS)]
    best, best_time = candidates[0], min(times[0] for times in rounds)
    for place, candidate in enumerate(candidates[1:], start=1):
        elapsed = min(times[place] for times in rounds)
        if elapsed * _FASTER < best_time:
            best, best_time = candidate, elapsed
    candidates[0].place(model).load_state_dict(state)
    model.zero_grad(set_to_none=True)
    _log.info("training runs in %s: %.0f ms per step", best, 1000 * best_time)
    return best


def _step_time(model: nn.Module, batch: Tensor, execution: Execution) -> float:
    execution.place(model).train()
    image = execution.image(batch)
    started = time.perf_counter()
    with execution.autocast():
        logits = model(image)
    logits.float().mean().backward()
    return time.perf_counter() - started
