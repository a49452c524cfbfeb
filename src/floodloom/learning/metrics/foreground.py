"""Scores of a foreground beside its IoU: the further ones of `evaluate`."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np

from floodloom.arrays import Doubles
from floodloom.learning.metrics.objects import (
    ObjectPairs,
    Outlines,
    StripObjects,
    objects_of,
    outlines_of,
)
from floodloom.learning.metrics.pixels import SCORES, Counts, ratio
from floodloom.learning.metrics.saliency import (
    Moments,
    alignment,
    centre_of,
    sums_of,
)
from floodloom.learning.metrics.strips import Strip, each_strip
from floodloom.learning.metrics.weighted import weighted_errors, weighted_score
from floodloom.raster.rows import STRIP, Rows

OBJECT_IOU = 0.5
"""A predicted and a true object are a pair where their IoU exceeds this."""


@dataclass(frozen=True)
class Mean:
    """A mean over images; those of parts add up."""

    total: float = 0.0
    images: int = 0

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.total + other.total, self.images + other.images)

    @property
    def value(self) -> float | None:
        """The mean, None without any image."""
        return self.total / self.images if self.images else None


@dataclass(frozen=True)
class ForegroundScores:
    """Further scores of a foreground; those of several images add up.

    `counts` are of pixels, `objects` of objects, `outlines` of outline pixels and `error` is
    Σ |probability - truth|; `structure` (S-measure), `alignment` (E-measure) and `weighted`
    (weighted Fβ) are means over images, the last over those that show foreground.
    """

    counts: Counts = field(default_factory=Counts)
    objects: Counts = field(default_factory=Counts)
    outlines: Outlines = field(default_factory=Outlines)
    error: float = 0.0
    structure: Mean = field(default_factory=Mean)
    alignment: Mean = field(default_factory=Mean)
    weighted: Mean = field(default_factory=Mean)

    def __add__(self, other: ForegroundScores) -> ForegroundScores:
        return ForegroundScores(
            self.counts + other.counts,
            self.objects + other.objects,
            self.outlines + other.outlines,
            self.error + other.error,
            self.structure + other.structure,
            self.alignment + other.alignment,
            self.weighted + other.weighted,
        )

    def as_dict(self, beta: float) -> dict[str, Any]:
        """Return the scores, named by what they are pooled over; None if nothing is scored.

        Parameters
        ----------
        beta
            β of the pooled Fβ.
        """
        pixels = sum(astuple(self.counts))
        opposite = Counts(self.counts.tn, self.counts.fn, self.counts.fp, self.counts.tp)
        both = [c.iou for c in (self.counts, opposite) if c.tp + c.fp + c.fn]
        pooled = {
            "accuracy": ratio(self.counts.tp + self.counts.tn, pixels),
            "miou": ratio(math.fsum(both), len(both)),
            "f_beta": self.counts.f_beta(beta),
            "mean_absolute_error": ratio(self.error, pixels),
            "boundary_f1": self.outlines.f1,
        }
        return {
            "images": self.structure.images,
            "pooled": {name: value if pixels else None for name, value in pooled.items()},
            "background": {name: getattr(opposite, name) if pixels else None for name in SCORES},
            "objects": self.objects.scores(),
            "mean_of_images": {
                "structure_measure": self.structure.value,
                "alignment_measure": self.alignment.value,
                "weighted_f_beta": self.weighted.value,
            },
        }


def score_foreground(
    probability: Rows,
    label: Rows,
    *,
    scale: float = 1.0,
    beta: float,
    object_iou: float = OBJECT_IOU,
    rows: int = STRIP,
    threads: int = 1,
) -> ForegroundScores:
    """Score a foreground, by strips.

    Parameters
    ----------
    probability
        (y, x), probability of the foreground times `scale`; foreground from one half. A map of
        classes has 0 and 1 alone.
    label
        (y, x): 0 background, 1 foreground, 255 ignored.
    scale
        What probability 1 is, 100 for percent.
    beta
        β of the weighted Fβ.
    object_iou
        A predicted and a true object are a pair if their IoU exceeds this.
    rows, threads
        Rows of a strip, and strips that are worked on at once; of percent they change no score.
    """
    centre = centre_of(label, rows=rows, threads=threads)
    if not centre.pixels:
        return ForegroundScores()

    def read(strip: Strip) -> tuple[Doubles, StripObjects, Outlines, Doubles]:
        errors = weighted_errors(strip) if centre.foreground else np.empty((0, 2))
        return sums_of(strip, centre), objects_of(strip), outlines_of(strip), errors

    sums, objects, outlines, errors = [], ObjectPairs(), Outlines(), []
    strips = each_strip(read, probability, label, scale, rows=rows, threads=threads)
    for of_strip, found, drawn, wrong in strips:
        sums.append(of_strip)
        objects.add(found)
        outlines += drawn
        errors.append(wrong)
    moments = Moments.of(sums, scale)
    weighted = weighted_score(errors, centre.foreground, beta)
    return ForegroundScores(
        moments.counts,
        objects.counts(object_iou),
        outlines,
        moments.absolute_error,
        Mean(moments.structure, 1),
        Mean(alignment(moments.counts), 1),
        Mean(weighted, 1) if centre.foreground else Mean(),
    )
