"""What a data-set adapter hands to the stages: whole scenes, or chips without a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from floodloom.errors import InputError
from floodloom.inputs import regular_file
from floodloom.log import get_logger
from floodloom.raster.recipe import Recipe
from floodloom.tiles.store import IGNORE

_log = get_logger(__name__)

_LARGEST_CHIP = 4096  # px


@dataclass(frozen=True)
class LabelledScene:
    """A scene rebuilt from a data set, with its labels.

    `scene` is a scene store in memory ((y, x) float32, NaN = no data, with recipe and statistics);
    `label` is (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.
    """

    name: str
    scene: xr.Dataset
    label: NDArray[np.uint8]


@dataclass(frozen=True)
class Chips:
    """Image chips of one size, without a place.

    `image` is (chip, band, y, x) float32 normalised with NaN = no data, `label` (chip, y, x)
    uint8 with 255 = ignore, `optical` (chip, channel, y, x) float32 reflectance-like 0-1 with
    NaN = missing.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    names: Sequence[str]
    events: Sequence[str]
    splits: Sequence[str]
    recipe: Recipe
    classes: Sequence[str]
    optical: NDArray[np.float32] | None = None
    channels: Sequence[str] = field(default=())


def read_png(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit PNG as (y, x) or (y, x, channel).

    Raises
    ------
    InputError
        If the file is missing, damaged, no such PNG, or larger than any chip.
    """
    regular_file(path, "PNG")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            width, height = image.size
            if max(width, height) > _LARGEST_CHIP:
                raise InputError(
                    f"{path}: {height:,} x {width:,} px; chips have at most {_LARGEST_CHIP:,}"
                )
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable PNG ({error}); fetch it again") from error
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: {pixels.dtype} values, not 8 bits; fetch it again")
    return pixels


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit PNG of 0 and 255 as (y, x) 0 and 1; what is neither is unknown, 255.

    Raises
    ------
    InputError
        If it is a coloured one, or as `read_png`.
    """
    values = read_png(path)
    if values.ndim != 2:
        raise InputError(f"{path}: a picture of {values.shape[2]} bands, no mask; fetch it again")
    full = values == np.iinfo(np.uint8).max
    strange = values[(values != 0) & ~full]
    mask: NDArray[np.uint8] = full.astype(np.uint8)
    if not strange.size:
        return mask
    _log.warning(
        "%s: %d px are neither 0 nor 255, such as %d; taken as unknown",
        path, strange.size, strange[0],
    )  # fmt: skip
    mask[(values != 0) & ~full] = IGNORE
    return mask


def require_root(root: Path, needed: str, title: str, source: str) -> Path:
    """Return `root` if the data set lies there.

    Raises
    ------
    InputError
        One line: what is missing, where it is published and which key to set.
    """
    if not (root / needed).is_dir():
        raise InputError(
            f"{root / needed}: {title} not found; it is published at {source}: "
            "fetch it and set `data_root` (or --root) to its folder"
        )
    return root
