"""Predictions and pseudo labels of any number of tiles: on disk, gone through some at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.learning.data.splits import select
from floodloom.learning.data.zarr_tiles import iterate_blocks, unlocated
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.labeller import Labeller
from floodloom.learning.relabelling.ranking import Ranking
from floodloom.learning.relabelling.settings import GateSettings
from floodloom.log import track
from floodloom.raster.store import scratch_array

_BATCH = 8
_LEAST_LABELLED = 0.05  # share of a tile's pixels: fewer teach little for the step that they cost


@dataclass(frozen=True)
class PredictedTiles:
    """What an ensemble predicts for unlabelled tiles, see `Predictions`.

    Attributes
    ----------
    confidence, label
        Arrays on disk.
    classes, tile_label, first, shares
        As in `Predictions`, of all tiles.
    """

    confidence: zarr.Array[Any]
    label: zarr.Array[Any]
    classes: int
    tile_label: Labels | None
    first: bool
    shares: tuple[float, ...] | None

    @classmethod
    def of(
        cls,
        tiles: xr.Dataset,
        labeller: Labeller,
        scratch: Path,
        *,
        first: bool,
        shares: tuple[float, ...] | None,
    ) -> PredictedTiles:
        """Predict tiles.

        Parameters
        ----------
        tiles
            A tile store, or some tiles of one.
        labeller
            What predicts.
        scratch
            Folder for the arrays.
        first, shares
            As in `Predictions`.
        """
        shape = (tiles.sizes["tile"], tiles.sizes["y"], tiles.sizes["x"])
        confidence = scratch_array(scratch / "confidence", shape, "float32")
        label = scratch_array(scratch / "label", shape, "uint8")
        place = 0
        for block in track(iterate_blocks(tiles, "image"), "labelling tiles"):
            batches = (block[first : first + _BATCH] for first in range(0, len(block), _BATCH))
            columns = zip(*map(labeller.predict, batches), strict=True)
            at = slice(place, place + len(block))
            confidence[at], label[at] = map(np.concatenate, columns)
            place += len(block)
        known = tiles["tile_label"].values if "tile_label" in tiles.coords else None
        if known is not None and (known == IGNORE).all():
            known = None
        return cls(confidence, label, len(labeller.ensemble.classes), known, first, shares)

    def parts(self) -> Iterator[tuple[slice, Predictions]]:
        """Yield the predictions some tiles at a time, and which these are."""
        for some, part in self._stored():
            yield some, replace(part, of_round=self.ranking)

    @cached_property
    def ranking(self) -> Ranking:
        """Confidences of the pixels of all tiles, by predicted class."""
        return Ranking(lambda: (part.by_class() for _, part in self._stored()), self.classes)

    def _stored(self) -> Iterator[tuple[slice, Predictions]]:
        step = self.label.chunks[0]
        for first in range(0, self.label.shape[0], step):
            some = slice(first, first + step)
            known = None if self.tile_label is None else self.tile_label[some]
            confidence, label = (np.asarray(one[some]) for one in (self.confidence, self.label))
            yield (
                some,
                Predictions(confidence, label, self.classes, known, self.first, self.shares),
            )


@dataclass(frozen=True)
class GatedTiles:
    """Pseudo labels of tiles.

    Attributes
    ----------
    label
        (tile, y, x) uint8 on disk, 255 where there is none.
    counts
        (tile, class) int64 labelled pixels.
    kept
        (tile,) bool, which tiles are learnt from.
    """

    label: zarr.Array[Any]
    counts: NDArray[np.int64]
    kept: NDArray[np.bool_]

    @classmethod
    def of(
        cls, predicted: PredictedTiles, gate: Gate, settings: GateSettings, scratch: Path
    ) -> GatedTiles:
        """Label the pixels that pass a gate.

        Parameters
        ----------
        predicted
            What is predicted for the tiles.
        gate, settings
            A tile of which it lets fewer than 5 % of the pixels pass is left out, unless tiles are
            learnt from without labels.
        scratch
            Folder for the labels.
        """
        label = scratch_array(scratch / "pseudo", predicted.label.shape, "uint8")
        counts = np.zeros((label.shape[0], predicted.classes), dtype=np.int64)
        for some, part in predicted.parts():
            found = gate.select(part, settings)
            for value in range(predicted.classes):
                counts[some, value] = (found == value).sum(axis=(1, 2))
            label[some] = found
        kept = np.ones(len(counts), dtype=np.bool_)
        if not gate.by_consistency:
            kept = counts.sum(axis=1) / math.prod(label.shape[1:]) >= _LEAST_LABELLED
        return cls(label, np.where(kept[:, np.newaxis], counts, 0), kept)

    def rows(self, tiles: NDArray[np.intp]) -> Labels:
        """Return the labels of some tiles, 255 of those that are left out."""
        found = self.label.get_orthogonal_selection((tiles,))
        return np.where(self.kept[tiles, np.newaxis, np.newaxis], found, np.uint8(IGNORE))

    def labelled(self, tiles: xr.Dataset, classes: Sequence[str]) -> xr.Dataset:
        """Return those of the tiles that are kept, with these labels, split `train`."""
        kept = select(unlocated(tiles), self.kept)
        kept = kept.drop_vars(["label", "optical", "channel"], errors="ignore")
        label = da.from_zarr(self.label)[np.flatnonzero(self.kept)]  # type: ignore[no-untyped-call]
        share = (self.counts[self.kept] / math.prod(self.label.shape[1:])).astype(np.float32)
        fractions = {
            f"fraction_{name}": ("tile", share[:, value]) for value, name in enumerate(classes)
        }
        split = ("tile", np.full(len(share), "train", dtype="<U10"))
        kept = kept.assign(label=(("tile", "y", "x"), label, {"ignore": IGNORE}))
        return kept.assign_coords({"split": split, **fractions}).unify_chunks()
