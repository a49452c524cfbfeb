"""The stage `train`: a segmentation network from labelled, and maybe pseudo-labelled, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import xarray as xr

from floodloom.digest import code_digest
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.augmentation import Augmentation, radar_noise, strong_views
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.training_set import gather
from floodloom.learning.data.zarr_tiles import located, radar_tiles
from floodloom.learning.losses.semisupervised import SemiSupervision
from floodloom.learning.network import require_fit, untrained
from floodloom.learning.relabelling.acceptance import Acceptance
from floodloom.learning.relabelling.adaptation import (
    TARGETS,
    AdaptedNetwork,
    adapt_statistics,
    re_estimate_statistics,
)
from floodloom.learning.relabelling.audit import Audit, read_audit
from floodloom.learning.relabelling.settings import AcceptanceLimits
from floodloom.learning.relabelling.target_calibration import TargetGround, note_likelihood
from floodloom.learning.training.distributed import joined
from floodloom.learning.training.objective import objective_of
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.training.supervise import learn
from floodloom.learning.training.training_log import Sidecars
from floodloom.log import get_logger
from floodloom.outputs import writes
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import open_tiles

_log = get_logger(__name__)


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
        weights are kept, too. With nothing but empty pseudo-labelled stores it is passed on.
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
    opened = located(open_tiles(tiles), tiles)
    before = None if init is None else load_checkpoint(init)
    fresh = untrained(opened, settings, settings.seed)
    require_fit(before or fresh, opened, str(init))
    training, validation = training_and_validation(
        opened, settings.validation_share, settings.folds, settings.fold
    )
    extra = _pseudo_labelled(pseudo, recipe_of(opened))
    held_out = radar_tiles(validation, settings.memory_gib)
    found = None if audit is None else read_audit(audit)
    limits = AcceptanceLimits() if found is None else found.limits
    greatest = 0.0 if found is None else found.greatest_likelihood
    acceptance = Acceptance(held_out, objective_of(settings.loss)[0], settings.batch, limits=limits)

    # A round without labels leaves the model as it was, unless it is too inaccurate.
    if before is not None and pseudo and extra is None:
        inaccuracy = acceptance.inaccuracy(before)
        if not inaccuracy:
            _log.info("no pseudo labels: %s is passed on", init)
            passed_on = {"kept": "initial weights", "reason": "no pseudo labels"}
            kept = replace(before, notes=passed_on)
            return save_checkpoint(note_likelihood(kept, held_out, greatest), out)
        _log.warning("%s: %s, so training starts again from the labels", init, inaccuracy)
        before = None

    if before is not None:
        fine_tuning = {
            "epochs": settings.fine_tune_epochs,
            "learning_rate": settings.fine_tune_learning_rate,
        }
        settings = settings.model_copy(update=fine_tuning)
    start = before or fresh
    material = gather(training, extra, settings.memory_gib)
    noise = radar_noise(start.recipe, settings.speckle_looks, settings.offset_db, settings.ramp_db)
    with joined() as team:
        learned = learn(
            start,
            material.tiles,
            held_out,
            settings,
            loss=settings.loss,
            augmentation=Augmentation(
                noise, settings.band_drop, settings.cutmix, gain_jitter=settings.gain_jitter
            ),
            sidecars=Sidecars.of(Path(out), tensorboard=settings.tensorboard),
            pseudo=material.pseudo,
            pseudo_share=settings.pseudo_share,
            semi=SemiSupervision(
                settings.consistency,
                apart=settings.pseudo_share is not None and _another_sensor(found),
                strong=strong_views(start.recipe),
            ),
        )
        acceptance = replace(acceptance, target=material.target)
        if before is not None and settings.acceptance:
            learned = acceptance.choose(before, learned)
        step, target = AdaptedNetwork(learned, learned), None
        share = settings.batch_statistics
        if share and material.target is not None:
            step = adapt_statistics(learned, material.target, acceptance, share, known=before)
        if team.leads:
            if before is not None and material.target is not None:
                alike = AdaptedNetwork(before, before)
                if step.changed:
                    alike = re_estimate_statistics(before, material.target, held_out, share)
                target = TargetGround(material.target, alike)
            learned = note_likelihood(
                step.checkpoint, held_out, greatest, reference=step.reference, target=target
            )
            save_checkpoint(replace(learned, code=code_digest("train")), out)
    return Path(out)


def _pseudo_labelled(paths: Sequence[Path], recipe: Recipe) -> xr.Dataset | None:
    """Return the pseudo-labelled tiles, None if there is no tile."""
    if not paths:
        return None
    extra = located(open_tiles(paths), paths)
    recipe.require_inputs(recipe_of(extra), "pseudo")
    return extra if extra.sizes["tile"] else None


def _another_sensor(audit: Audit | None) -> bool:
    """Return whether the round's labels come from networks that had to be adapted to the tiles."""
    return audit is not None and TARGETS in audit.batch_statistics
