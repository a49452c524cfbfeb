"""One round of relabelling: predict, gate, guard, audit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import ConfigError
from floodloom.learning.data.splits import select
from floodloom.learning.relabelling.audit import confidence_histogram, kept_area
from floodloom.learning.relabelling.gates import (
    Limits,
    agreement_with,
    gate_images,
    gate_pixels,
    gate_tiles,
    per_class,
    refusal,
    share_of,
)
from floodloom.learning.relabelling.labeller import Labeller
from floodloom.log import get_logger, track
from floodloom.raster.nodata import IGNORE
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)
_BATCH = 8


@dataclass(frozen=True)
class Gate:
    """How pseudo labels are chosen: `pixel` with its numbers, `paul-ganju`, `image-level`,
    or `none`: no label at all, for tiles that teach by consistency alone.
    """

    kind: str = "pixel"
    thresholds: tuple[float, ...] = (0.95,)
    quotas: tuple[float, ...] = (0.9,)
    portions: tuple[float, ...] = (0.0,)
    minimum_kept: float = 0.05

    def __call__(
        self,
        confidence: NDArray[np.float32],
        prediction: NDArray[np.uint8],
        classes: int,
        tile_label: NDArray[np.uint8] | None = None,
        *,
        first: bool = True,
    ) -> NDArray[np.uint8]:
        """Return (tile, y, x) uint8 labels, 255 where the prediction isn't sure enough.

        `tile_label` and `first` are those of `gate_images`.

        Raises
        ------
        ConfigError
            If there is no such gate, its numbers don't match the classes, or nothing is known of
            whole tiles.
        """
        if self.kind == "none":
            return np.full(prediction.shape, IGNORE, dtype=np.uint8)
        if self.kind == "image-level":
            if tile_label is None or (tile_label == IGNORE).all():
                raise ConfigError(
                    "gate image-level: the tiles have no label as a whole; ETCI 2021's unlabelled "
                    "scenes have (labels.csv), or choose another gate"
                )
            return gate_images(confidence, prediction, tile_label, first=first)
        if self.kind == "paul-ganju":
            return gate_tiles(confidence, prediction)
        if self.kind != "pixel":
            raise ConfigError(f"gate {self.kind!r}: choose pixel, paul-ganju, image-level, none")
        thresholds = per_class(self.thresholds, classes, "thresholds")
        quotas = per_class(self.quotas, classes, "quotas")
        portions = per_class(self.portions, classes, "portions")
        return gate_pixels(confidence, prediction, thresholds, quotas, portions)


def relabel_tiles(
    tiles: xr.Dataset,
    labeller: Labeller,
    *,
    gate: Gate,
    limits: Limits,
    previous: xr.Dataset | None = None,
    refused: str | None = None,
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Label tiles where a labeller is sure.

    Parameters
    ----------
    tiles
        Tile store; its labels are never read.
    labeller
        What predicts, calibrated.
    gate
        What is sure enough.
    limits
        What the round must keep to.
    previous
        Pseudo-labelled tiles of the round before.
    refused
        Why the round is refused whatever is predicted, if it is.

    Returns
    -------
    tuple
        The pseudo-labelled tiles, split `train`, without any tile if the round is refused; and
        the audit.

    Raises
    ------
    RecipeMismatchError
        If the tiles aren't what the ensemble was trained on; the message names the field.
    """
    classes = labeller.ensemble.classes
    labeller.ensemble.recipe.require_inputs(recipe_of(tiles), "tiles")
    confidence, prediction = _predictions(tiles, labeller)
    known = tiles["tile_label"].values if "tile_label" in tiles.coords else None
    label = gate(confidence, prediction, len(classes), known, first=previous is None)
    unlabelled = gate.kind == "none"
    kept = np.ones(len(label), bool) if unlabelled else _kept_tiles(label, gate.minimum_kept)
    label[~kept] = IGNORE
    agreement = _agreement(tiles, label, previous)
    pseudo = None if unlabelled else label
    reason = refused or refusal(prediction, confidence, pseudo, agreement, limits)
    if reason is not None:
        _log.warning("the round is refused: %s", reason)
        kept[:] = False
    report = {
        "accepted": reason is None,
        "reason": reason,
        "tiles": {"offered": len(label), "kept": int(kept.sum())},
        "passed_gate": kept_area(label, classes, recipe_of(tiles).spacing),
        "water_share": share_of(1, prediction, np.isfinite(confidence)),
        "agreement_with_previous": agreement,
        "confidence": confidence_histogram(confidence, prediction, classes),
        "calibration": labeller.calibration,
        "gate": asdict(gate),
        "limits": asdict(limits),
        "tta": labeller.tta,
        "likelihood": labeller.likelihood,
        "greatest_likelihood": max(map(float, labeller.calibration.get("likelihood", {"0": 0}))),
    }
    return _pseudo_labelled(tiles, label, kept, classes), report


def _predictions(
    tiles: xr.Dataset, labeller: Labeller
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    shape = (tiles.sizes["tile"], tiles.sizes["y"], tiles.sizes["x"])
    confidence = np.empty(shape, dtype=np.float32)
    prediction = np.empty(shape, dtype=np.uint8)
    for first in track(range(0, shape[0], _BATCH), "labelling tiles"):
        part = slice(first, first + _BATCH)
        image = tiles["image"].isel(tile=part).values
        confidence[part], prediction[part] = labeller.predict(image)
    return confidence, prediction


def _kept_tiles(label: NDArray[np.uint8], least: float) -> NDArray[np.bool_]:
    return np.asarray((label != IGNORE).mean(axis=(1, 2)) >= least)


def _agreement(
    tiles: xr.Dataset, label: NDArray[np.uint8], previous: xr.Dataset | None
) -> float | None:
    if previous is None:
        return None
    names, before = tiles["tile_id"].values.tolist(), previous["tile_id"].values.tolist()
    return agreement_with(names, label, before, previous["label"].values)


def _pseudo_labelled(
    tiles: xr.Dataset,
    label: NDArray[np.uint8],
    kept: NDArray[np.bool_],
    classes: tuple[str, ...],
) -> xr.Dataset:
    labels = label[kept]
    unread = ["label", "optical", "channel"]
    pseudo = select(tiles, kept).drop_vars(unread, errors="ignore").compute()
    fractions = {
        f"fraction_{name}": ("tile", (labels == value).mean(axis=(1, 2)).astype(np.float32))
        for value, name in enumerate(classes)
    }
    split = ("tile", np.full(len(labels), "train", dtype="<U10"))
    pseudo = pseudo.assign(label=(("tile", "y", "x"), labels, {"ignore": IGNORE}))
    return pseudo.assign_coords({"split": split, **fractions})
