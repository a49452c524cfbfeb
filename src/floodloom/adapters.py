"""What an adapter of a data set is, and what those of chips and of scenes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.log import get_logger
from floodloom.raster.recipe import Recipe
from floodloom.tiles.overlay import LabelledScene
from floodloom.tiles.store import tile_dataset

_SOME = 10


@dataclass(frozen=True)
class Chips:
    """Image chips of one size, without a place.

    `image` is (chip, band, y, x) float32 normalised with NaN = no data, `label` (chip, y, x)
    uint8 with 255 = ignore, `optical` (chip, channel, y, x) float32 reflectance-like 0-1 with
    NaN = missing. `tile_label` is 1 for a chip that is known to hold class 1, 0 for one that holds
    none, 255 for one of which nothing is known as a whole.
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
    tile_label: Sequence[int] | None = None


@dataclass(frozen=True)
class SceneAdapter:
    """A data set of scenes that have a place, or at least neighbours.

    Attributes
    ----------
    title
        What it is called, for messages and attributes.
    published
        Address that it is published at.
    names
        Lists the scenes below the folder of the data set.
    read
        Reads the scene of a name.
    """

    title: str
    published: str
    names: Callable[[Path], Sequence[str]]
    read: Callable[[Path, str], LabelledScene]

    def scenes(self, root: Path) -> Iterator[LabelledScene]:
        """Yield every scene below `root`, one after the other."""
        for name in self.names(root):
            yield self.read(root, name)

    def scene(self, root: Path, name: str) -> LabelledScene:
        """Return the scene of this name.

        Raises
        ------
        InputError
            If there is none.
        """
        names = sorted(self.names(root))
        if name not in names:
            have = ", ".join(names[:_SOME]) + (", …" if len(names) > _SOME else "") or "none"
            raise InputError(
                f"{root}: no {self.title} scene {name}; found: {have}; published: {self.published}"
            )
        return self.read(root, name)


@dataclass(frozen=True)
class ChipAdapter:
    """A data set of chips without a place.

    Attributes
    ----------
    title
        What it is called, for messages.
    published
        Address that it is published at.
    read
        Reads all chips below the folder of the data set.
    """

    title: str
    published: str
    read: Callable[[Path], Chips]


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


def chip_tiles(chips: Chips) -> xr.Dataset:
    """Return chips, which have no place on a grid, as tiles."""
    count = len(chips.names)
    index: dict[str, list[object]] = {
        "tile_id": list(chips.names),
        "event": list(chips.events),
        "scene": list(chips.names),
        "split": list(chips.splits),
        "row": [0] * count,
        "col": [0] * count,
    }
    if chips.tile_label is not None:
        index["tile_label"] = list(chips.tile_label)
    return tile_dataset(
        chips.image, chips.label, index, chips.recipe, chips.classes, chips.optical, chips.channels
    )
