"""The stage `distill`: a radar student beside a frozen teacher that sees optical images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.optical import choose_labels, paired_samples, unlabelled_pairs
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.zarr_tiles import load_tiles, locate_tiles
from floodloom.learning.distillation.settings import DistillSettings
from floodloom.learning.distillation.student import distill_student
from floodloom.learning.distillation.teacher import require_teacher
from floodloom.learning.network import untrained
from floodloom.learning.training.state import Sidecars
from floodloom.outputs import writes
from floodloom.tiles.store import concatenate_tiles, open_tiles


@writes("out")
def distill(
    *,
    tiles: list[Path],
    teacher: Path,
    out: Path,
    settings: DistillSettings = DistillSettings(),
    threads: int = 1,
) -> Path:
    """Train a radar network that also learns from a teacher where the sky was clear.

    If it scores more than the teacher where held-out tiles show an optical image, a student of the
    labels alone is trained, too, and the better network on the held-out tiles is kept.

    Parameters
    ----------
    tiles
        Tile stores; tiles without an optical image give the supervised loss only.
    teacher
        Checkpoint of `teach`; its weights don't change.
    out
        Checkpoint (.safetensors) that takes radar alone.
    settings
        How to train it, and what the teacher adds.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    torch.set_num_threads(threads)
    frozen = load_checkpoint(teacher)
    opened = choose_labels(locate_tiles(open_tiles(tiles), tiles), settings.labels)
    start = untrained(opened, settings, settings.seed)
    require_teacher(frozen, start, str(teacher), identical=settings.student == "identical")
    training, validation = training_and_validation(opened)
    if settings.unlabelled:
        others = unlabelled_pairs(opened, round(settings.unlabelled * training.sizes["tile"]))
        training = concatenate_tiles([training, others])
    load = partial(paired_samples, standardisation=Standardisation(**frozen.statistics))
    noise = radar_noise(start.recipe, settings.speckle_looks, settings.offset_db)
    learned = distill_student(
        start,
        frozen,
        load_tiles(training, settings.memory_gib, load),
        load_tiles(validation, settings.memory_gib, load),
        settings,
        augmentation=Augmentation(noise, elastic=settings.elastic),
        sidecars=Sidecars.of(Path(out)),
    )
    return save_checkpoint(replace(learned, code=code_digest("distill", settings.modules())), out)
