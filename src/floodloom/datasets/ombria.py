"""OMBRIA: Sentinel-1 chips before and after a flood, with optical chips for some of them.

Display-stretched 8-bit PNG of 256 px without georeference; one radar band of unstated
polarisation, called `backscatter` here; optical images in three-band false colour.

Source: Drakonakis et al. (2022), OmbriaNet: supervised flood mapping via convolutional neural
networks using multitemporal Sentinel-1 and Sentinel-2 data fusion, IEEE JSTARS 15.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from floodloom.adapters import ChipAdapter, Chips, read_mask, read_png, require_root
from floodloom.errors import InputError
from floodloom.log import track
from floodloom.raster.recipe import Recipe
from floodloom.tiles.inputs import standardisation

TITLE = "OMBRIA"
PUBLISHED = "https://github.com/geodrak/OMBRIA"
BANDS = ("before_backscatter", "backscatter")
CHANNELS = (
    "before_optical_1",
    "before_optical_2",
    "before_optical_3",
    "optical_1",
    "optical_2",
    "optical_3",
)
CLASSES = ("dry", "flood")
SIDE = 256
_RUN = 26
_RUN_SPLITS = ("train", "train", "target", "train", "validation", "train", "target", "train")


def chips(root: Path) -> Chips:
    """Read all chips.

    The official test chips are the test split. Chips with neighbouring numbers show the same
    event, so validation and target (labels hidden) chips are whole runs of numbers instead of a
    random draw; the runs are spread over the numbers, because the share of flood changes with
    them.

    Parameters
    ----------
    root
        Folder with OmbriaS1 and OmbriaS2.

    Returns
    -------
    Chips
        Bands before_backscatter and backscatter, each standardised by its chip; the optical
        channels (before, after) are values / 255, NaN for chips without.

    Raises
    ------
    InputError
        If the data set isn't there or a file is damaged.
    """
    require_root(root, "OmbriaS1", TITLE, PUBLISHED)
    numbers = [(part, number) for part in ("train", "test") for number in _numbers(root, part)]
    read = [_read(root, part, number) for part, number in track(numbers, "reading OMBRIA")]
    splits = [_split(part, position) for position, (part, _) in enumerate(numbers)]
    return Chips(
        image=np.stack([image for image, _, _ in read]),
        label=np.stack([label for _, label, _ in read]),
        optical=np.stack([optical for _, _, optical in read]),
        names=[f"{part}_{number}" for part, number in numbers],
        events=[f"ombria-{part}" for part, _ in numbers],
        splits=splits,
        recipe=Recipe(quantity="display").for_inputs(BANDS, normalisation="scene"),
        classes=CLASSES,
        channels=CHANNELS,
    )


def _numbers(root: Path, part: str) -> list[str]:
    folder = root / "OmbriaS1" / part / "AFTER"
    numbers = sorted(path.stem.removeprefix("S1_after_") for path in folder.glob("S1_after_*.png"))
    if not numbers:
        raise InputError(f"{folder}: no S1_after_*.png; fetch OMBRIA again from {PUBLISHED}")
    return numbers


def _split(part: str, position: int) -> str:
    run = position // _RUN % len(_RUN_SPLITS)
    return "test" if part == "test" else _RUN_SPLITS[run]


def _read(
    root: Path, part: str, number: str
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    radar = root / "OmbriaS1" / part
    before = _standardised(_chip(radar / "BEFORE" / f"S1_before_{number}.png", 2))
    after = _standardised(_chip(radar / "AFTER" / f"S1_after_{number}.png", 2))
    flooded = _chip(radar / "MASK" / f"S1_mask_{number}.png", 2, read_mask)
    optical = _optical(root / "OmbriaS2" / part, number, flooded.shape)
    return np.stack([before, after]), flooded, optical


def _chip(
    path: Path, dimensions: int, read: Callable[[Path], NDArray[np.uint8]] = read_png
) -> NDArray[np.uint8]:
    chip = read(path)
    if chip.ndim != dimensions or chip.shape[:2] != (SIDE, SIDE):
        bands = 1 if chip.ndim == 2 else chip.shape[2]
        raise InputError(
            f"{path}: {chip.shape[0]} x {chip.shape[1]} px of {bands} bands, no chip of {SIDE} px; "
            "fetch it again"
        )
    return chip


def _standardised(chip: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, deviation = standardisation(chip)
    return ((chip - mean) / deviation).astype(np.float32)


def _optical(folder: Path, number: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    paths = [folder / w.upper() / f"S2_{w}_{number}.png" for w in ("before", "after")]
    if not all(path.exists() for path in paths):
        return np.full((len(CHANNELS), *shape), np.nan, dtype=np.float32)
    pair = np.concatenate([_chip(path, 3)[..., :3] for path in paths], axis=-1)
    return pair.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


DATASET = ChipAdapter(TITLE, PUBLISHED, chips)
