"""The slow baseline of `make bench-baselines`: a network that classifies a window for each pixel.

It is trained on simulated chips alone, as the forests and the model in the package are, with what
two cores can do in minutes, which `BUDGET` states.
"""

from __future__ import annotations

from pathlib import Path

from floodloom.learning.training.settings import TrainSettings
from floodloom.simulate.tiles import simulated_tiles
from floodloom.stages.train import train
from floodloom.tiles.store import write_tiles

CHIPS = 256
HELD_OUT = 32
SETTINGS = TrainSettings(
    model="sliding_window",
    width=8,
    epochs=4,
    batch=4,
    learning_rate=2e-3,
    speckle_looks=None,  # the chips have theirs
    offset_db=1.0,
    balance=0.3,
)
_FIRST = 6_000_000  # seeds that nothing else is drawn with
_SIDE = 32  # px
BUDGET = {"width": SETTINGS.width, "epochs": SETTINGS.epochs, "chips": CHIPS, "side": _SIDE}


def trained(folder: Path) -> Path:
    """Return the checkpoint in a folder, trained if it isn't there."""
    out = folder / "sliding-window.safetensors"
    if out.exists():
        return out
    stores = []
    for split, first, count in (("train", 0, CHIPS), ("validation", CHIPS, HELD_OUT)):
        seeds = range(_FIRST + first, _FIRST + first + count)
        tiles = simulated_tiles(seeds, size=_SIDE, split=split)
        stores.append(write_tiles(tiles, folder / f"sliding-window-{split}.zarr"))
    return train(tiles=stores, out=out, settings=SETTINGS)
