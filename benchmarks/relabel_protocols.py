"""The data of the relabelling benchmark: labelled tiles, others without labels, and unseen ones.

A protocol is a folder of tile stores. `labelled` holds tiles to train on and to validate on,
`unlabelled` the same kind of ground without labels, `inductive` ground that nothing was trained
on, `transductive` the truth of `unlabelled`, and `all` what the first two would be with all labels.
`dry` is what relabelling must survive: tiles like the unlabelled ones, without any water to learn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.distill_ombria import shrunk
from benchmarks.ombria_events import event_of_chips
from floodloom.adapters import chip_tiles, read_png
from floodloom.arrays import IGNORE
from floodloom.datasets import ombria
from floodloom.raster.recipe import Recipe
from floodloom.simulate.backscatter import draw_day
from floodloom.simulate.landscape import make_landscape, surface_backscatter
from floodloom.simulate.place import draw_place
from floodloom.stages.tile import tile
from floodloom.tiles.inputs import standardisation
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import concatenate_tiles, open_tiles, tile_dataset, write_tiles

_RUN = 26  # chips with neighbouring numbers, see `floodloom.datasets.ombria`
_VALIDATION_SHARE = 0.2  # of the labelled tiles, in whole events
_INDUCTIVE_SHARE = 0.3
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Size:
    """How much of a protocol is used: px of a tile's side, and tiles of a simulated event's side.

    `shrink` chips of OMBRIA are averaged over so many pixels in each direction first.
    """

    tile: int = 256
    shrink: int = 1
    simulated: int = 8


SMALL = Size(tile=128, shrink=2, simulated=4)
FULL = Size()


def ombria_protocol(root: Path, share: float, seed: int, size: Size) -> dict[str, xr.Dataset]:
    """Return OMBRIA's training chips with `share` of them labelled, by groups of similar chips."""
    tiles = _ombria(root, size.shrink)
    group = tiles["event"].values
    order = np.random.default_rng(seed).permutation(np.unique(group))
    sizes = np.cumsum([np.count_nonzero(group == name) for name in order]) / len(group)
    labelled = np.isin(group, order[: int(np.searchsorted(sizes, share)) + 1])
    surplus = int(labelled.sum()) - round(share * len(group))
    last = np.flatnonzero(group == order[int(np.searchsorted(sizes, share))])
    labelled[last[len(last) - max(surplus, 0) :]] = False
    inductive = np.isin(group, order[sizes > 1 - _INDUCTIVE_SHARE])
    unlabelled = ~labelled & ~inductive & ~np.isin(np.arange(len(group)), last)
    target = tiles.isel(tile=np.flatnonzero(unlabelled))
    stores = _stores(
        tiles.isel(tile=np.flatnonzero(labelled)),
        target,
        tiles.isel(tile=np.flatnonzero(inductive)),
        seed,
    )
    return stores | {"dry": _as(_unflooded(target), "target")}


def etci_protocol(root: Path, seed: int, size: Size) -> dict[str, xr.Dataset]:
    """Return ETCI's North Alabama, its eastern ground unseen, and Nebraska without labels.

    Nebraska has no labels by pixel: there is no `transductive` store, and `all` is `labelled`.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tiles.zarr"
        tile(
            out=out,
            settings=TileSettings(
                dataset="etci2021", root=root, split="blocks", size=128, seed=seed
            ),
        )
        tiles = open_tiles(out).load()
    split = tiles["split"].values
    known = tiles.isel(tile=np.flatnonzero(np.isin(split, ("train", "validation"))))
    return {
        "labelled": known,
        "unlabelled": tiles.isel(tile=np.flatnonzero(split == "target")),
        "inductive": tiles.isel(tile=np.flatnonzero(split == "test")),
        "all": known,
    }


@dataclass(frozen=True)
class Setting:
    """How a simulated event is seen: terrain, crops and sensor.

    `relief` m, `share` of the dry land that is flooded, `looks`, `noise_db` (noise-equivalent
    sigma0), `offset_db` of the whole product, `crops_db` by which fields are brighter,
    `incidence_deg`.
    """

    relief: float
    share: float
    looks: float
    noise_db: float
    offset_db: float
    crops_db: float
    incidence_deg: float


LABELLED = Setting(10.0, 0.25, 4.4, -24.0, 0.0, 0.0, 38.0)
UNLABELLED = Setting(5.0, 0.2, 2.5, -20.0, 1.5, -2.0, 33.0)


def simulator_protocol(seed: int, size: Size) -> dict[str, xr.Dataset]:
    """Return simulated events seen in one setting with labels, in another without."""
    first = 100 * (seed + 1)
    known = [_simulated(first + i, LABELLED, size) for i in range(3)]
    stores = _stores(
        concatenate_tiles(known),
        _simulated(first + 10, UNLABELLED, size),
        _simulated(first + 20, UNLABELLED, size),
        seed,
    )
    large = _simulated(first + 30, UNLABELLED, replace(size, simulated=2 * size.simulated))
    water = (large["label"].values == 1).any(axis=(1, 2))
    return stores | {"dry": _as(_hidden(large.isel(tile=np.flatnonzero(~water))), "target")}


FEW = 0.15
"""Share of flood below which an event of OMBRIA holds little of it."""
_PER_EVENT = 10  # chips, evenly spaced, so that no event outweighs the others
_SIMULATED_EVENTS = (12, 8, 8)  # labelled, unlabelled, unseen; of 2 x 2 tiles each


def ombria_shift_protocol(
    root: Path, seed: int, size: Size, *, few_labelled: bool = False
) -> dict[str, xr.Dataset]:
    """Return OMBRIA's events of little flood without labels, and the others with them.

    The unlabelled events are halved, one half is unseen. With `few_labelled` it is the reverse.
    """
    tiles, few = ombria_by_share(root, size.shrink)
    labelled = few if few_labelled else ~few
    names = tiles["event"].values
    first, second = halves(names[~labelled], seed)
    return _stores(
        tiles.isel(tile=np.flatnonzero(labelled)),
        tiles.isel(tile=np.flatnonzero(~labelled & np.isin(names, first))),
        tiles.isel(tile=np.flatnonzero(~labelled & np.isin(names, second))),
        seed,
    )


@cache
def ombria_by_share(root: Path, shrink: int) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    """Return OMBRIA's chips by event, and which are of an event of little flood, (tile,) bool."""
    known = ombria.chips(root)
    number = event_of_chips(known)
    few, kept = np.zeros(len(number), dtype=np.bool_), []
    for event in np.unique(number):
        member = np.flatnonzero(number == event)
        few[member] = (known.label[member] == 1).mean() < FEW
        kept.append(member[:: -(-len(member) // _PER_EVENT)])
    chosen = np.concatenate(kept)
    tiles = chip_tiles(known).drop_vars(["optical", "channel"], errors="ignore")
    names = np.array([f"event-{one:02d}" for one in number])
    tiles = tiles.assign_coords(event=("tile", names)).isel(tile=chosen)
    return shrunk(tiles, shrink), few[chosen]


def halves(events: NDArray[np.str_], seed: int) -> tuple[list[str], list[str]]:
    """Return the names of events in two parts of about as many tiles."""
    names, counts = np.unique(events, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    parts: tuple[list[str], list[str]] = ([], [])
    filled = [0, 0]
    for place in sorted(order, key=lambda place: -counts[place]):
        part = int(np.argmin(filled))
        parts[part].append(str(names[place]))
        filled[part] += int(counts[place])
    return parts


def simulator_shift_protocol(share: float, seed: int, size: Size) -> dict[str, xr.Dataset]:
    """Return simulated events of a quarter of flood with labels, of another share without."""
    small = replace(size, simulated=2)
    events = iter(range(1000 * (seed + 1), 1000 * (seed + 2)))
    parts = [
        concatenate_tiles(
            [
                _simulated(next(events), replace(LABELLED, share=flooded), small)
                for _ in range(count)
            ]
        )
        for count, flooded in zip(_SIMULATED_EVENTS, (LABELLED.share, share, share), strict=True)
    ]
    return _stores(*parts, seed)


def write_protocol(stores: dict[str, xr.Dataset], folder: Path) -> dict[str, Path]:
    """Write the stores of a protocol and return their paths."""
    return {name: write_tiles(tiles, folder / f"{name}.zarr") for name, tiles in stores.items()}


def _stores(
    labelled: xr.Dataset, unlabelled: xr.Dataset, inductive: xr.Dataset, seed: int
) -> dict[str, xr.Dataset]:
    event = labelled["event"].values
    held = np.zeros(len(event), dtype=bool)
    for name in np.random.default_rng(seed).permutation(np.unique(event))[:-1]:
        if held.mean() < _VALIDATION_SHARE:
            held |= event == name
    labelled = _as(labelled, np.where(held, "validation", "train"))
    return {
        "labelled": labelled,
        "unlabelled": _as(_hidden(unlabelled), "target"),
        "inductive": _as(inductive, "test"),
        "transductive": _as(unlabelled, "test"),
        "all": concatenate_tiles([labelled, _as(unlabelled, "train")]),
    }


def _hidden(tiles: xr.Dataset) -> xr.Dataset:
    return tiles.assign(label=xr.full_like(tiles["label"], IGNORE))


def _unflooded(tiles: xr.Dataset) -> xr.Dataset:
    """Return pairs whose second image is the first once more, as if no flood had come."""
    image = tiles["image"].values
    before, _ = np.split(image, 2, axis=1)
    return _hidden(tiles.assign(image=tiles["image"].copy(data=np.tile(before, (1, 2, 1, 1)))))


def _as(tiles: xr.Dataset, split: str | NDArray[np.str_]) -> xr.Dataset:
    names = np.broadcast_to(np.asarray(split), tiles.sizes["tile"]).astype("<U10")
    return tiles.assign_coords(split=("tile", names))


def _ombria(root: Path, shrink: int) -> xr.Dataset:
    folder = root / "OmbriaS1" / "train"
    numbers = sorted(path.stem.removeprefix("S1_mask_") for path in (folder / "MASK").glob("*.png"))
    images, labels = [], []
    for number in numbers:
        pair = [read_png(folder / w.upper() / f"S1_{w}_{number}.png") for w in ("before", "after")]
        bands = [_shrunk(chip.astype(np.float32), shrink) for chip in pair]
        images.append(np.stack([(b - m) / d for b in bands for m, d in [standardisation(b)]]))
        mask = read_png(folder / "MASK" / f"S1_mask_{number}.png") > 127
        labels.append(_shrunk(mask.astype(np.float32), shrink) >= 0.5)
    recipe = Recipe(quantity="display").for_inputs(ombria.BANDS, normalisation="scene")
    groups = [f"run-{position // _RUN:02d}" for position in range(len(numbers))]
    return _dataset(np.stack(images), np.stack(labels), groups, recipe, ombria.CLASSES)


def _shrunk(array: Floats, factor: int) -> Floats:
    height, width = array.shape
    blocks = array.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _simulated(seed: int, setting: Setting, size: Size) -> xr.Dataset:
    """Return the tiles of a flood on its map grid, without the radar's geometry."""
    side = size.simulated * 128
    draw = np.random.default_rng(seed)
    place = replace(draw_place(draw, "farmland"), relief=setting.relief, snow=False)
    landscape = make_landscape(draw, place, side, 10.0, share=setting.share)
    angle = np.full((side, side), setting.incidence_deg)
    seen, _ = surface_backscatter(landscape, draw_day(draw, place), angle, flooded=True)
    water = landscape.label > 0
    fields = np.where(gaussian_filter(water.astype(float), 1) < 0.5, setting.crops_db, 0.0)
    bands = []
    for clean in seen:
        power = clean * 10 ** (fields / 10) + 10 ** (setting.noise_db / 10)
        speckle = draw.gamma(setting.looks, 1 / setting.looks, power.shape)
        bands.append(10 * np.log10(power * speckle) + setting.offset_db)
    recipe = Recipe(quantity="sigma0", spacing=10.0).for_inputs(("vv", "vh"))
    image = np.clip((np.stack(bands) + 30) / 17.5 - 1, -1, 1).astype(np.float32)
    cut = [(r, c) for r in range(0, side, 128) for c in range(0, side, 128)]
    images = np.stack([image[:, r : r + 128, c : c + 128] for r, c in cut])
    labels = np.stack([water[r : r + 128, c : c + 128] for r, c in cut])
    event = f"seed-{seed}"
    return _dataset(images, labels, [event] * len(cut), recipe, ("dry", "water"))


def _dataset(
    images: Floats,
    labels: NDArray[np.bool_],
    events: Sequence[str],
    recipe: Recipe,
    classes: Sequence[str],
) -> xr.Dataset:
    count = len(images)
    names = [f"{event}-{position:04d}" for position, event in enumerate(events)]
    index: dict[str, list[object]] = {
        "tile_id": list(names),
        "event": list(events),
        "scene": list(names),
        "split": ["train"] * count,
        "row": [0] * count,
        "col": [0] * count,
    }
    return tile_dataset(
        images.astype(np.float32), labels.astype(np.uint8), index, recipe, list(classes)
    )
