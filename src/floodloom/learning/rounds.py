"""One round of relabelling: calibrate, predict, gate, guard, audit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.errors import ConfigError
from floodloom.learning.audit import confidence_histogram, kept_area
from floodloom.learning.confidence import fit_temperature, held_out_pixels, reliability_at
from floodloom.learning.data import Tiles
from floodloom.learning.inference import Ensemble
from floodloom.learning.likelihood import local_likelihood
from floodloom.learning.metrics import IGNORE, confusion_matrix, foreground_scores
from floodloom.learning.relabel import (
    Limits,
    agreement_with,
    gate_images,
    gate_pixels,
    gate_tiles,
    per_class,
    refusal,
    share_of,
)
from floodloom.learning.splits import select
from floodloom.log import get_logger, track
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)
_BATCH = 8
_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
_AFFORDABLE = 0.01  # IoU on held-out labels


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


@dataclass(frozen=True)
class Labeller:
    """What gives pseudo labels: an ensemble, and what each tile says of itself.

    Attributes
    ----------
    ensemble
        Calibrated networks.
    tta
        Average over the eight symmetries of the square.
    likelihood
        Weight of `local_likelihood` against the networks' mean logits; 0 leaves it out.
    temperature
        What the sum of both is divided by.
    calibration
        Its reliability on held-out labels, and the foreground IoU there of each weight tried.
    """

    ensemble: Ensemble
    tta: bool = True
    likelihood: float = 0.0
    temperature: float = 1.0
    calibration: dict[str, Any] = field(default_factory=dict)

    def evidence(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the networks and what the tiles themselves say of the classes.

        Parameters
        ----------
        image
            (tile, band, y, x) float32, 0 = no data in that band.

        Returns
        -------
        logits, likelihood
            (tile, class, y, x) float32 each; the latter is 0 where its weight is.
        """
        logits = self.ensemble.logits(image, tta=self.tta)
        if not self.likelihood:
            return logits, torch.zeros_like(logits)
        valid = (image != 0).all(dim=1).numpy()
        return logits, torch.from_numpy(local_likelihood(image.numpy(), valid, logits.numpy()))

    def predict(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return confidence (tile, y, x), NaN = no data, and predicted class (tile, y, x)."""
        valid = np.isfinite(image).all(axis=1)
        filled = torch.from_numpy(np.where(np.isfinite(image), image, np.float32(0)))
        logits, said = self.evidence(filled)
        weighed = (logits + self.likelihood * said) / self.temperature
        confidence, prediction = weighed.softmax(dim=1).max(dim=1)
        sure = np.where(valid, confidence.numpy(), np.float32(np.nan))
        return sure, prediction.numpy().astype(np.uint8)


def calibrated(labeller: Labeller, held_out: Tiles, *, scale: bool = True) -> Labeller:
    """Find the weight of the tiles' own word and the temperature on held-out labelled tiles.

    Parameters
    ----------
    labeller
        Its `likelihood` is the greatest weight that is tried, besides shares of it and none. Where
        the networks know the ground better than a tile's own distributions these do harm, so what
        is taken is the greatest weight that costs less than a point of the foreground IoU:
        strange ground, which there are no labels of, gains more than known ground may lose.
    held_out
        Labelled tiles that the networks weren't trained on.
    scale
        Without it the temperature stays 1.
    """
    evidence, label = held_out_pixels(
        lambda image: torch.cat(labeller.evidence(image), dim=1), held_out
    )
    logits, said = evidence.chunk(2, dim=1)
    tried = [share * labeller.likelihood for share in (_SHARES if labeller.likelihood else (0.0,))]
    scores = {weight: _foreground_iou(logits + weight * said, label) for weight in tried}
    weight = max(one for one in tried if scores[one] > scores[0.0] - _AFFORDABLE)
    weighed = logits + weight * said
    temperature = fit_temperature(weighed, label) if scale else 1.0
    calibration = {
        "temperature": temperature,
        "likelihood": {f"{one:g}": score for one, score in scores.items()},
        "pixels": len(label),
        "before": reliability_at(weighed, label, 1.0).as_dict(),
        "after": reliability_at(weighed, label, temperature).as_dict(),
    }
    return replace(labeller, likelihood=weight, temperature=temperature, calibration=calibration)


def _foreground_iou(logits: Tensor, label: Tensor) -> float:
    prediction = logits.argmax(dim=1).numpy()
    matrix = confusion_matrix(prediction, label.numpy(), logits.shape[1])
    return foreground_scores(matrix)["iou"]


def relabel_tiles(
    tiles: xr.Dataset,
    labeller: Labeller,
    *,
    gate: Gate,
    limits: Limits,
    previous: xr.Dataset | None = None,
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
    reason = refusal(prediction, confidence, None if unlabelled else label, agreement, limits)
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
