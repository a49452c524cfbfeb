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


def supports_bfloat16(device: torch.device) -> bool:
    """Return whether a processor has instructions for bfloat16, not only a detour."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def choose_execution(model: nn.Module, precision: str) -> Execution:
    """Choose how to train a model.

    Parameters
    ----------
    model
        The network.
    precision
        `float32`, `bfloat16`, or `auto`: bfloat16 in channels-last memory on a GPU, and on a CPU
        that has instructions for it where the network is wide enough to gain by that. Nothing is
        timed, so that two trainings on one machine agree.

    Raises
    ------
    ConfigError
        If `precision` is none of these.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"precision {precision!r}: choose auto, float32 or bfloat16")
    device = default_device()
    if precision == "auto":
        precision = _automatic(model, device)
    if precision == "bfloat16":
        return Execution(device, bfloat16=True, channels_last=True)
    return Execution(device)
