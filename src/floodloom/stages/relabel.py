"""The stage `relabel`: pseudo labels for unlabelled tiles, gated, guarded and audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from floodloom.files import write_json
from floodloom.learning.data.samples import Tiles, radar_samples
from floodloom.learning.data.splits import select, training_and_validation
from floodloom.learning.inference import Ensemble, ensemble_of, load_ensemble
from floodloom.learning.losses.pixels import cross_entropy
from floodloom.learning.relabelling.acceptance import Guard
from floodloom.learning.relabelling.adaptation import Adapted, adapted, another_sensor
from floodloom.learning.relabelling.audit import names_of, scores_by_event
from floodloom.learning.relabelling.gates import Limits
from floodloom.learning.relabelling.labeller import Labeller, calibrated
from floodloom.learning.relabelling.round import Gate, relabel_tiles
from floodloom.outputs import writes
from floodloom.sets import together
from floodloom.tiles.store import open_tiles, write_tiles


@writes("out", "audit")
def relabel(
    *,
    tiles: list[Path],
    validation: list[Path],
    checkpoints: list[Path],
    out: Path,
    audit: Path,
    round: int = 1,
    previous: Path | None = None,
    preset: str = "pixel-gate",
    gate: str = "pixel",
    thresholds: Sequence[float] = (0.95,),
    quotas: Sequence[float] = (0.9,),
    portions: Sequence[float] = (0.5,),
    minimum_kept: float = 0.05,
    minimum_water_share: float = 0.001,
    maximum_water_share: float = 0.9,
    maximum_flips: float = 0.2,
    maximum_iou_fall: float = 0.02,
    minimum_iou: float = 0.3,
    validation_share: float = 0.2,
    folds: int | None = None,
    fold: int = 0,
    batch_statistics: float = 0.75,
    likelihood: float = 1.0,
    tta: bool = True,
    calibrate: bool = True,
    threads: int = 1,
) -> Path:
    """Label unlabelled tiles with an ensemble where it is sure.

    Parameters
    ----------
    tiles
        Tile stores; only tiles of the split `target` are used and their labels are never read.
    validation
        Labelled tile stores; those of the split `validation` calibrate the confidences.
    checkpoints
        The ensemble.
    out
        Pseudo-labelled tile store; empty if the round is refused.
    audit
        JSON: what was kept, how sure the ensemble was and how far that can be believed.
    round
        Number of the round, from 1.
    previous
        Pseudo-labelled tile store of the round before.
    preset
        Name of the set of defaults that the other settings come from, for the audit.
    gate
        pixel: confident pixels, with thresholds and quotas per class; paul-ganju: whole tiles of
        which more than 90 % of the pixels are surer than 0.95; image-level: every pixel takes what
        is known of its tile, from the second round on the prediction where the tile holds water;
        none: no labels, for training by consistency. That is refused where the target's sensor is
        another: there it lost up to 33 points of IoU, unseen by held-out labels.
    thresholds
        Least confidence of a kept pixel, one for all classes or one each.
    quotas
        Greatest share of the pixels predicted as a class that are kept, one for all or one each.
    portions
        Share of the pixels predicted as a class that are kept even below the threshold, the surest
        ones, one for all or one each.
    minimum_kept
        Least share of labelled pixels in a kept tile.
    minimum_water_share, maximum_water_share
        Band that the share of water must keep to; otherwise the round is refused.
    maximum_flips
        Greatest share of labels that may change from round to round.
    maximum_iou_fall
        Greatest fall of validation IoU with which a round's model is kept; `train` looks at it.
    minimum_iou
        A network with a lower IoU on held-out labels labels nothing. Without any that does, the
        round is refused, and `train` begins anew on the labels instead of passing such a one on.
    validation_share
        Share of the training tiles held out when no tile is in the validation split; the same as
        in training.
    folds, fold
        Folds over the events and the one that was validated on, the same as in training.
    batch_statistics
        Share of the unlabelled tiles in the statistics of batch normalisation with which they are
        predicted, by members that don't suffer when the same is done with held-out labelled
        tiles; 0 leaves them. Only tiles of another sensor are predicted so, and if no more water is
        found there than on land alone, the member labels nothing.
    likelihood
        Greatest weight of what each tile's own distributions of its classes say against what the
        networks say; as much of it is used as makes the error on held-out labels (1 - IoU) grow by
        a twentieth at most, and none with 0. `train` notes how much the round's model is to hear of
        it when it predicts.
    tta
        Average over the eight symmetries of the square.
    calibrate
        Divide the logits by the temperature that held-out labels ask for.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    ensemble = load_ensemble(checkpoints, threads=threads)
    labelled = open_tiles(validation)
    _, held_out = training_and_validation(labelled, validation_share, folds, fold)
    offered = open_tiles(tiles)
    offered = select(offered, offered["split"].values == "target")
    water_share = minimum_water_share, maximum_water_share
    limits = Limits(water_share, maximum_flips, maximum_iou_fall, minimum_iou)
    guard = Guard(radar_samples(held_out), cross_entropy, limits=limits)
    names = names_of(checkpoints)
    target = radar_samples(offered) if batch_statistics and offered.sizes["tile"] else None
    members, left_out, strange = _members(ensemble, names, target, guard, batch_statistics)
    refused = None
    if members:
        ensemble = ensemble_of([one.checkpoint for one in members])
    else:
        members = [Adapted(one, one) for one in ensemble.checkpoints]
        refused = next(iter(left_out.values()))
        likelihood = 0.0 if strange else likelihood  # it begins with what the networks are sure of
    if gate == "none" and refused is None:
        refused = _other_sensor(members, offered, held_out)
    rehearsed = ensemble_of([one.rehearsed for one in members])
    labeller = Labeller(ensemble, tta=tta, likelihood=likelihood)
    labeller = calibrated(labeller, radar_samples(held_out), scale=calibrate, rehearsed=rehearsed)
    pseudo, report = relabel_tiles(
        offered,
        labeller,
        gate=Gate(gate, tuple(thresholds), tuple(quotas), tuple(portions), minimum_kept),
        limits=limits,
        previous=None if previous is None else open_tiles(previous),
        refused=refused,
    )
    report["batch_statistics"] = [
        one.notes.get("batch_statistics", {}).get("kept") for one in ensemble.checkpoints
    ]
    predict = replace(labeller, ensemble=rehearsed).predict
    report["validation"] = scores_by_event(held_out, predict, len(ensemble.classes))
    report["left_out"] = left_out
    with together({"audit": Path(audit), "out": Path(out)}, folders=("out",)) as made:
        written = {"round": round, "preset": preset, **report, "checkpoints": names}
        write_json(made["audit"], written)
        write_tiles(pseudo, made["out"])
    return Path(out)


def _other_sensor(
    members: Sequence[Adapted], offered: xr.Dataset, held_out: xr.Dataset
) -> str | None:
    """Return why the target mustn't teach by consistency, if its sensor is another.

    What a network takes for water there may be wrong alike in all views.
    """
    if not offered.sizes["tile"]:
        return None
    target, known = radar_samples(offered), radar_samples(held_out)
    signs = (another_sensor(one.checkpoint, target, known) for one in members)
    sign = next((sign for sign in signs if sign), None)
    return sign and f"{sign}, and consistent views can be wrong alike; choose pixel-gate"


def _members(
    ensemble: Ensemble, names: Sequence[str], target: Tiles | None, guard: Guard, share: float
) -> tuple[list[Adapted], dict[str, str], bool]:
    """Return the networks that may label, each adapted to the target, and why others may not.

    The flag says whether any can't because the target is too strange to it.
    """
    members, left_out, strange = [], {}, False
    for name, one in zip(names, ensemble.checkpoints, strict=True):
        why = guard.poor(one)
        if why is None:
            step = Adapted(one, one) if target is None else adapted(one, target, guard, share)
            why = step.untellable
            strange = strange or why is not None
        if why is None:
            members.append(step)
        else:
            left_out[name] = why
    return members, left_out, strange
