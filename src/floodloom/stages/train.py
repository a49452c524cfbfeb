"""The stage `train`: a segmentation network from labelled, and maybe pseudo-labelled, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.errors import InputError
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.zarr_tiles import locate_tiles
from floodloom.learning.network import require_fit, untrained
from floodloom.learning.relabelling.audit import read_audit
from floodloom.learning.relabelling.retraining import RoundTiles, train_round
from floodloom.learning.training.distributed import join_processes
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.training.state import Sidecars
from floodloom.learning.unsupervised.pretraining import starting
from floodloom.outputs import writes
from floodloom.tiles.store import open_tiles


@writes("out")
def train(
    *,
    tiles: list[Path],
    out: Path,
    pseudo: Sequence[Path] = (),
    init: Path | None = None,
    audit: Path | None = None,
    settings: TrainSettings = TrainSettings(),
    threads: int = 1,
) -> Path:
    """Train a network on labelled tiles.

    Under `torchrun` several processes share every batch, with the result of one process.

    Parameters
    ----------
    tiles
        Tile stores; tiles of the split `train` are trained on, those of `validation` choose the
        best epoch and set the temperature.
    out
        Checkpoint (.safetensors). The history of the epochs grows beside it (.history.jsonl).
    pseudo
        Pseudo-labelled tile stores to train on as well.
    init
        Checkpoint to fine-tune; its architecture is kept. If what was learned is refused, its
        weights are kept, too. With nothing but empty pseudo-labelled stores it is passed on. One
        of `pretrain` takes the place of random weights instead.
    audit
        Audit of the round of relabelling, whose limits the new model must keep to as well.
    settings
        How to train.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    opened = locate_tiles(open_tiles(tiles), tiles)
    before = None if init is None else load_checkpoint(init)
    fresh = untrained(opened, settings, settings.seed)
    require_fit(before or fresh, opened, str(init))
    if before is not None and before.is_pretrained:
        fresh, before = starting(before), None
    elif before is None and settings.pretraining is not None:
        raise InputError(
            f"train: encoder_weights {settings.pretraining}: give the checkpoint of `floodloom "
            "pretrain` as init"
        )
    labelled_by_round = locate_tiles(open_tiles(pseudo), pseudo) if pseudo else None
    round_tiles = RoundTiles.load(opened, labelled_by_round, settings)
    with join_processes() as processes:
        network = train_round(
            fresh,
            before,
            round_tiles,
            settings,
            audit=None if audit is None else read_audit(audit),
            in_round=bool(pseudo),
            sidecars=Sidecars.of(Path(out)),
        )
        if processes.is_first:
            code = code_digest("train", settings.modules())
            save_checkpoint(replace(network, code=code), out)
    return Path(out)
