"""A network that is not trained yet, and the processor and number format that one runs in."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from floodloom.errors import CheckpointError, ConfigError
from floodloom.learning.checkpoint import Checkpoint, Inputs
from floodloom.learning.data.samples import Samples, Standardisation, Tiles
from floodloom.learning.training.settings import NetworkSettings
from floodloom.log import get_logger
from floodloom.models.registry import build, require_choices
from floodloom.raster.store import accepted_of, recipe_of

_KEEP_BELOW = (1 << 31) - 1  # bytes
_GPU_SHARE = 0.25  # of the free memory of a GPU may hold tiles

_BFLOAT16_FROM = 8
"""Channels of the first convolution from which bfloat16 trains faster on a CPU, see benchmarks."""
_CHANNELS_LAST_FROM = 16
"""The same for channels-last memory in float32. Of 8 channels the gradient of a 1×1 convolution of
stride 2 ends the process with a damaged heap (PyTorch 2 with oneDNN on AVX-512)."""
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
        return tiles.to(self.device) if tiles.nbytes < free * _GPU_SHARE else tiles

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


def return_memory() -> None:
    """Give back to the kernel what glibc keeps.

    What is freed lies scattered between what lives on, and more and more of it: reading, writing
    and layers of several sizes take turns.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
        `float32`, `bfloat16`, or `auto`. That is bfloat16 on a GPU and on a CPU with instructions
        for it, and else float32; on a CPU, narrow networks stay in float32, and in contiguous
        memory. Nothing is timed, so that trainings on one machine agree to the bit.

    Raises
    ------
    ConfigError
        If `precision` is none of these.
    """
    device = default_device()
    if precision == "float32":
        chosen = Execution(device)
    elif precision == "bfloat16" or (precision == "auto" and device.type == "cuda"):
        chosen = Execution(device, bfloat16=True, channels_last=True)
    elif precision == "auto":
        width = _first_channels(model)
        bfloat16 = supports_bfloat16(device) and width >= _BFLOAT16_FROM
        chosen = Execution(device, bfloat16, bfloat16 or width >= _CHANNELS_LAST_FROM)
    else:
        raise ConfigError(f"precision {precision!r}: choose auto, float32 or bfloat16")
    _log.info("training runs in %s", chosen)
    return chosen


def _first_channels(model: nn.Module) -> int:
    """Return the channels that a network's first convolution gives."""
    return next((m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 0)


def untrained(
    tiles: xr.Dataset,
    network: NetworkSettings,
    seed: int,
    optical: Standardisation | None = None,
    *,
    fused: bool = False,
) -> Checkpoint:
    """Return a checkpoint with fresh weights for the inputs of a tile store.

    Parameters
    ----------
    tiles
        Tile store that gives recipe and classes.
    network
        What to build.
    seed
        Of the weights.
    optical
        Given it, the inputs are these optical channels instead of the radar bands.
    fused
        The inputs are the radar bands and the optical channels; late fusion gives each sensor a
        branch, and radar decides where the optical image is blank.

    Raises
    ------
    ConfigError
        If the architecture is unknown, or has no such choice or argument.
    CheckpointError
        If the encoder's weights can't be read or are another network's.
    """
    recipe, classes = recipe_of(tiles), tuple(json.loads(tiles.attrs["classes"]))
    bands = () if optical is None else optical.channels
    bands = (*recipe.bands, *bands) if fused or optical is None else bands
    require_choices(network.model, network.arguments)
    arguments: dict[str, Any] = {
        "in_channels": len(bands),
        "classes": len(classes),
        "width": network.width,
    }
    chosen = dict(network.arguments)
    if fused and network.model == "late_fusion":
        first = len(recipe.bands)
        groups = [list(range(first)), list(range(first, len(bands)))]
        arguments |= {"groups": groups, "alone": True}
        if _named(chosen.get("groups")):
            del chosen["groups"]  # they are the students', who see one of the sensors
    if _named(chosen.get("groups")):
        chosen["groups"] = _positions(chosen["groups"], bands)
    arguments |= chosen
    torch.manual_seed(seed)
    model = build(network.model, **arguments, encoder_weights=network.weights_file)
    fresh = Checkpoint(network.model, arguments, classes, recipe, model.state_dict())
    if optical is None:
        return replace(fresh, accepts=accepted_of(tiles))
    inputs: Inputs = "fused" if fused else "optical"
    return replace(fresh, inputs=inputs, channels=bands, statistics=asdict(optical))


def _named(groups: Any) -> bool:
    """Whether groups of bands are given by name."""
    return any(isinstance(band, str) for group in groups or () for band in group)


def _positions(groups: Sequence[Sequence[int | str]], bands: tuple[str, ...]) -> list[list[int]]:
    """Return the positions of the bands of groups that are given by name."""
    for name in (band for group in groups for band in group):
        if name not in bands:
            raise ConfigError(
                f"train.arguments: groups: band {name!r} is none of {', '.join(bands)}; name "
                "bands of `tile.bands`"
            )
    return [[bands.index(str(band)) for band in group] for group in groups]


def require_fit(checkpoint: Checkpoint, tiles: xr.Dataset, path: str) -> None:
    """Check that a checkpoint suits a tile store.

    Raises
    ------
    CheckpointError
        If it takes optical inputs or has other classes.
    RecipeMismatchError
        If its recipe differs; the message names the field.
    """
    classes = tuple(json.loads(tiles.attrs["classes"]))
    if checkpoint.inputs != "radar":
        raise CheckpointError(f"{path}: it takes optical channels; give a radar checkpoint")
    if checkpoint.classes != classes:
        raise CheckpointError(
            f"{path}: classes are {list(checkpoint.classes)} but the tiles' are {list(classes)}; "
            "cut the tiles with the same classes"
        )
    checkpoint.recipe.require_inputs(recipe_of(tiles), "tiles", checkpoint.accepts)
