"""What a run says about itself: training histories, relabelling audits, runtimes."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup

from floodloom.learning.relabelling.audit import Audit
from floodloom.report.charts import Axis, Series, line_chart, reliability_chart

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
    """Say what isn't as usual about how a checkpoint came to be."""
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
        yield f"hears a scene's own word, weight {weight:g}"


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
