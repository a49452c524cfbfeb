"""Chips and masks in PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from floodloom.errors import InputError
from floodloom.inputs import regular_file
from floodloom.log import get_logger
from floodloom.raster.nodata import IGNORE

_log = get_logger(__name__)

_LARGEST_CHIP = 4096  # px


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
