"""The results of a run as tables and charts."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from floodloom.learning.relabelling.audit import Audit

COLOURS = ("#1f4e79", "#e6550d", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#444444")
"""Distinguishable under colour blindness, after Okabe and Ito (2008), Color universal design."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 12, 40
_MOST_TICKS = 6


@dataclass(frozen=True)
class Series:
    """One line of a chart; `y` holds None where there is no value."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]

    @property
    def points(self) -> list[tuple[float, float]]:
        """The places that have a value."""
        return [(x, y) for x, y in zip(self.x, self.y, strict=True) if y is not None]


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its range where it isn't taken from the data, and its finest step."""

    title: str
    low: float | None = None
    high: float | None = None
    finest: float = 0.0


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    size: tuple[int, int] = (440, 250),
    diagonal: bool = False,
) -> Markup:
    """Draw lines.

    Parameters
    ----------
    series
        The lines; several, or those beside a diagonal, are named in a legend below.
    x, y
        The axes.
    size
        Width and height, px.
    diagonal
        Draw y = x, too.

    Returns
    -------
    Markup
        An SVG element and its legend.
    """
    frame = _Frame.around(series, x, y, size)
    lines = [_line(one, frame, COLOURS[number % len(COLOURS)]) for number, one in enumerate(series)]
    body = frame.axes(x, y) + (frame.diagonal() if diagonal else "") + "".join(lines)
    label = escape(f"{y.title} by {x.title}: {', '.join(one.name for one in series)}")
    svg = (
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{label}">'
        f"{body}</svg>"
    )
    return Markup(svg + (_legend(series) if len(series) > 1 or diagonal else ""))


def reliability_chart(curves: Sequence[Series]) -> Markup:
    """Draw accuracy against confidence, with the diagonal of perfect calibration."""
    lowest = min((min(point) for one in curves for point in one.points), default=0.5)
    low = min(0.5, float(np.floor(lowest * 10) / 10))
    axes = Axis("confidence", low, 1.0), Axis("share that is right", low, 1.0)
    return line_chart(curves, *axes, size=(320, 270), diagonal=True)


def _line(one: Series, frame: _Frame, colour: str) -> str:
    places = [(f"{frame.x(x):.1f}", f"{frame.y(y):.1f}") for x, y in one.points]
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2.2"/>' for x, y in places)
    points = " ".join(f"{x},{y}" for x, y in places)
    return (
        f'<g fill="{colour}"><title>{escape(one.name)}</title><polyline points="{points}" '
        f'fill="none" stroke="{colour}" stroke-width="1.7" stroke-linejoin="round"/>{dots}</g>'
    )


def _legend(series: Sequence[Series]) -> str:
    items = [
        f'<li><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(one.name)}</li>'
        for number, one in enumerate(series)
    ]
    return f'<ul class="keys">{"".join(items)}</ul>'


@dataclass(frozen=True)
class _Frame:
    """The rectangle of a plot and its ranges."""

    size: tuple[int, int]
    left: float
    right: float
    low: float
    high: float

    @classmethod
    def around(cls, series: Sequence[Series], x: Axis, y: Axis, size: tuple[int, int]) -> _Frame:
        points = [point for one in series for point in one.points]
        left, right = _range([p[0] for p in points], x)
        low, high = _range([p[1] for p in points], y)
        return cls(size, left, right, low, high)

    def x(self, value: float) -> float:
        share = (value - self.left) / (self.right - self.left)
        return _LEFT + share * (self.size[0] - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.size[1] - _BOTTOM - share * (self.size[1] - _TOP - _BOTTOM)

    def diagonal(self) -> str:
        ends = [(self.x(v), self.y(v)) for v in (self.low, self.high)]
        (x1, y1), (x2, y2) = ends
        return (
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            'stroke="#8b949c" stroke-dasharray="4 3"/>'
        )

    def axes(self, x: Axis, y: Axis) -> str:
        width, height = self.size
        rows = [
            f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{self.y(v):.1f}" y2="{self.y(v):.1f}" '
            f'stroke="#e3e1da"/><text x="{_LEFT - 7}" y="{self.y(v) + 3.5:.1f}" '
            f'text-anchor="end">{v:.4g}</text>'
            for v in ticks(self.low, self.high, y.finest)
        ]
        columns = [
            f'<text x="{self.x(v):.1f}" y="{height - _BOTTOM + 16}" '
            f'text-anchor="middle">{v:.4g}</text>'
            for v in ticks(self.left, self.right, x.finest)
        ]
        middle = (height - _BOTTOM + _TOP) / 2
        titles = (
            f'<text x="{(width + _LEFT - _RIGHT) / 2}" y="{height - 6}" class="axis" '
            f'text-anchor="middle">{escape(x.title)}</text><text class="axis" '
            f'transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">'
            f"{escape(y.title)}</text>"
        )
        return "".join(rows + columns) + titles


def _range(values: Sequence[float], axis: Axis) -> tuple[float, float]:
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    return low, high if high > low else low + 1.0


def ticks(low: float, high: float, finest: float = 0.0) -> list[float]:
    """Return at most six round numbers, in steps of 1, 2 or 5 times a power of ten.

    No step is finer than `finest`.
    """
    span = high - low
    scale = 10.0 ** np.floor(np.log10(span / _MOST_TICKS))
    step = next(s * scale for s in (1, 2, 5, 10, 20) if span / (s * scale) <= _MOST_TICKS - 1)
    step = max(step, finest)
    first = np.ceil(low / step - 1e-9) * step
    found = np.arange(first, high + step * 1e-6, step)
    return [round(float(value), 10) + 0.0 for value in found]  # no -0


_MEASURES = (("iou", "validation IoU"), ("loss", "training loss"))


@dataclass(frozen=True)
class Trained:
    """A checkpoint's `name`, the `phase` it belongs to, and its `metadata` as plain values."""

    name: str
    phase: str
    metadata: Mapping[str, Any]


def trained_rows(checkpoints: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return what the table of models shows: name, phase, settings and scores of each."""
    rows = []
    for checkpoint in checkpoints:
        metadata = checkpoint.metadata
        rows.append(
            {
                "name": checkpoint.name,
                "phase": checkpoint.phase,
                "architecture": metadata["architecture"],
                "width": metadata["arguments"].get("width"),
                "epochs": len(metadata["history"]),
                "seconds": sum(record.get("seconds", 0.0) for record in metadata["history"]),
                "temperature": metadata["temperature"],
                "note": "; ".join(_remarks(metadata["notes"], metadata["training"])),
                **{name: metadata["scores"].get(name) for name in ("iou", "f1")},
            }
        )
    return rows


def _remarks(notes: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[str]:
    """Return what isn't as usual about how a checkpoint came to be."""
    kept, reason = notes.get("kept", "new weights"), notes.get("reason")
    if kept != "new weights":
        yield f"{kept} kept" + (f": {reason}" if reason else "")
    if "teacher_iou" in training:
        student, teacher = training["student_iou"], training["teacher_iou"]
        if training["taught"]:
            yield (
                f"IoU {student:.3f} where held-out tiles show an optical image, its teacher's "
                f"{teacher:.3f}"
            )
        else:
            yield (
                "learnt from the labels alone, better on held-out tiles than taught: where they "
                f"show an optical image, a taught one had IoU {student:.3f}, its teacher "
                f"{teacher:.3f}"
            )
    if weight := notes.get("likelihood", {}).get("weight"):
        yield f"weighs in the local likelihood of a scene, {weight:g}"


def training_charts(checkpoints: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return per phase its name and the charts of validation IoU and loss by epoch."""
    phases: dict[str, list[Trained]] = {}
    for checkpoint in checkpoints:
        if checkpoint.metadata["history"]:
            phases.setdefault(checkpoint.phase, []).append(checkpoint)
    return [
        {"phase": phase, "charts": [_curve(members, *measure) for measure in _MEASURES]}
        for phase, members in phases.items()
    ]


def _curve(members: Sequence[Trained], field: str, title: str) -> Markup:
    series = [
        Series(
            member.name,
            [record["epoch"] for record in member.metadata["history"]],
            [record.get(field) for record in member.metadata["history"]],
        )
        for member in members
    ]
    return line_chart(series, Axis("epoch", finest=1.0), Axis(title))


def calibration_chart(curves: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return the reliability chart of named curves as `Reliability.as_dict` gives them."""
    return reliability_chart([_reliability(name, curve) for name, curve in curves.items()])


def _reliability(name: str, curve: Mapping[str, Any]) -> Series:
    known = [
        (confidence, accuracy)
        for confidence, accuracy in zip(curve["confidence"], curve["accuracy"], strict=True)
        if confidence is not None
    ]
    error = curve["expected_calibration_error"]
    label = f"{name}, expected calibration error {error:.4f}"
    return Series(label, [c for c, _ in known], [a for _, a in known])


def audit_views(
    audits: Sequence[Audit],
    examples: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """Return what the report shows of each round, in the order of the rounds.

    Parameters
    ----------
    audits
        Of the rounds.
    examples
        Pseudo-labelled tiles by the number of the round, see
        `floodloom.report.examples.pseudo_labelled_tiles`.

    Returns
    -------
    list of dict
        The audits with `charts`, reliability and histogram of the confidence, and `examples`.
    """
    views = []
    for audit in sorted(audits, key=lambda found: found.round):
        calibration = audit.calibration
        curves = {"before": calibration.before, "after temperature": calibration.after}
        charts = [
            calibration_chart({name: curve.model_dump() for name, curve in curves.items()}),
            _confidence_chart(audit.confidence),
        ]
        shown = (examples or {}).get(audit.round, [])
        views.append({**audit.model_dump(), "charts": charts, "examples": shown})
    return views


def _confidence_chart(histogram: Mapping[str, Sequence[float]]) -> Markup:
    """Share of each predicted class by confidence."""
    edges = histogram["edges"]
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    series = [
        Series(name, middles, [count / max(sum(counts), 1) for count in counts])
        for name, counts in histogram.items()
        if name != "edges"
    ]
    return line_chart(series, Axis("confidence", 0, 1), Axis("share of the class's pixels", 0))


@dataclass(frozen=True)
class Runtime:
    """Jobs of a stage: how many, their seconds together and the longest, and most memory (MiB)."""

    stage: str
    jobs: int
    seconds: float
    longest: float
    memory: float | None


def runtimes(folder: Path, order: Sequence[str]) -> list[Runtime]:
    """Read the benchmark files of a run.

    Parameters
    ----------
    folder
        Folder with one folder per stage, which holds the tab-separated files of its jobs.
    order
        Names of the stages as they are to be listed.

    Returns
    -------
    list of Runtime
        One per stage that has run.
    """
    found = {stage: _jobs(folder / stage) for stage in order}
    return [_runtime(stage, jobs) for stage, jobs in found.items() if jobs]


def _jobs(folder: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="", encoding="utf-8") as lines:
            rows += csv.DictReader(lines, delimiter="\t")
    return rows


def _runtime(stage: str, jobs: Sequence[Mapping[str, str]]) -> Runtime:
    seconds = [number for job in jobs if (number := _number(job.get("s"))) is not None]
    memory = [number for job in jobs if (number := _number(job.get("max_rss"))) is not None]
    longest = max(seconds, default=0.0)
    return Runtime(stage, len(jobs), sum(seconds), longest, max(memory, default=None))


def _number(text: str | None) -> float | None:
    """Snakemake writes - or NA for jobs that end before they are measured."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
