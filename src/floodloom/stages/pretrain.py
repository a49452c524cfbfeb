"""The stage `pretrain`: a network that has learnt from tiles without their labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import save_checkpoint
from floodloom.learning.data.splits import select
from floodloom.learning.data.zarr_tiles import load_radar_tiles, locate_tiles
from floodloom.learning.network import untrained
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.unsupervised.pretraining import pretrain_checkpoint
from floodloom.outputs import writes
from floodloom.tiles.store import open_tiles

_SPLITS = ("train", "target")


@writes("out")
def pretrain(
    *,
    tiles: list[Path],
    out: Path,
    settings: TrainSettings = TrainSettings(),
    threads: int = 1,
) -> Path:
    """Pretrain a network on tiles, whose labels don't count.

    Parameters
    ----------
    tiles
        Tile stores; tiles of the splits `train` and `target` are learnt from, others are left
        alone.
    out
        Checkpoint (.safetensors) to give to `train` as `init`; it can't map, as its classifier has
        learnt nothing.
    settings
        `encoder_weights` names what is learnt. Of the others those of the network, the
        augmentation, seed, epochs, batch, learning rate and its schedule, weight decay, precision
        and memory count.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    opened = locate_tiles(open_tiles(tiles), tiles)
    fresh = untrained(opened, settings, settings.seed)
    chosen = select(opened, np.isin(opened["split"].values, _SPLITS))
    learnt = pretrain_checkpoint(fresh, load_radar_tiles(chosen, settings.memory_gib), settings)
    code = code_digest("pretrain", settings.modules())
    save_checkpoint(replace(learnt, code=code), out)
    return Path(out)
