"""What a run has recorded, for its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from floodloom.errors import InputError
from floodloom.learning.relabelling.audit import read_audit
from floodloom.outputs import Files
from floodloom.report.examples import example_tiles, pseudo_labelled_tiles
from floodloom.report.results import (
    Trained,
    audit_views,
    calibration_chart,
    runtimes,
    trained_rows,
    training_charts,
)
from floodloom.report.settings import ReportSettings
from floodloom.settings import Count, Number, Record, ReliabilityCurve, read_record
from floodloom.texts import printable
from floodloom.tiles.store import open_tiles


class _Scores(Record):
    iou: Number | None
    f1: Number | None
    precision: Number | None
    recall: Number | None
    tp: Count
    fp: Count
    fn: Count
    tn: Count


class _Pooled(Record):
    accuracy: Number | None
    miou: Number | None
    f_beta: Number | None
    mean_absolute_error: Number | None
    boundary_f1: Number | None


class _OfImages(Record):
    structure_measure: Number | None
    alignment_measure: Number | None
    weighted_f_beta: Number | None


class _Further(Record):
    beta: Number
    object_iou: Number
    pooled: _Pooled
    objects: _Scores
    mean_of_images: _OfImages


class _Pair(Record):
    flood: _Scores
    water: _Scores
    further: _Further = Field(default=None)  # type: ignore[assignment]


class _Undecided(Record):
    excluded: Number
    nodata: Number


class _Permanent(Record):
    called_flood: Number | None


class _Event(_Pair):
    scored: str = ""
    undecided: _Undecided = Field(default=None)  # type: ignore[assignment]
    permanent_water: _Permanent = Field(default=None)  # type: ignore[assignment]


class _Tiles(Record):
    count: Count
    pooled: _Scores
    mean_of_chip_iou: Number | None
    mean_of_chip_macro_jaccard: Number | None = None
    calibration: ReliabilityCurve | None = None
    further: _Further = Field(default=None)  # type: ignore[assignment]


class Evaluation(_Pair):
    """Scores, as `evaluate` writes them."""

    inductive: _Pair | None = None
    transductive: _Pair | None = None
    by_event: dict[str, _Event] = Field(default_factory=dict)
    tiles: _Tiles = Field(default=None)  # type: ignore[assignment]


_EXAMPLES = 6


class ReportFiles(Files):
    """What there is of the whole run."""

    evaluation: Path | None = Field(default=None, description="Scores (.json)")
    checkpoints: tuple[Path, ...] = Field(
        default=(), description="Checkpoints that the run trained, in their order"
    )
    ensemble: tuple[Path, ...] = Field(
        default=(),
        description="Checkpoints of the ensemble that maps, trained or given; it predicts the "
        "example tiles",
    )
    audits: tuple[Path, ...] = Field(
        default=(), description="Audits of the rounds of relabelling (.json)"
    )
    tiles: tuple[Path, ...] = Field(default=(), description="Labelled tile stores, for examples")
    pseudo: tuple[Path, ...] = Field(
        default=(),
        description="Pseudo-labelled tile stores, one per audit, for examples of each round",
    )
    benchmarks: Path | None = Field(
        default=None, description="Folder of Snakemake's benchmark files, one folder per stage"
    )
    failures: Path | None = Field(
        default=None, description="What failed in the run, a line each (.txt)"
    )


def run_sections(
    files: ReportFiles, settings: ReportSettings, stages: Sequence[str]
) -> dict[str, Any]:
    """Return what the report shows of a run beside its maps, by section of the page.

    Parameters
    ----------
    files
        What there is.
    settings
        What the page shows.
    stages
        Names of the stages in the order of the workflow.

    Raises
    ------
    InputError
        If a file can't be read or isn't what it should be.
    """
    trained = [_trained(path, path.parent.name) for path in files.checkpoints]
    given = [_trained(path, "given") for path in files.ensemble if path not in files.checkpoints]
    scores = {}
    if files.evaluation is not None:
        scores = read_record(files.evaluation, Evaluation).model_dump(exclude_unset=True)
    return {
        "evaluation": scores,
        "training": training_charts(trained),
        "models": trained_rows([*given, *trained]),
        "audits": _rounds(files.audits, files.pseudo),
        "runtimes": [] if files.benchmarks is None else runtimes(files.benchmarks, stages),
        "calibration": _calibration(scores),
        "configuration": _configuration(settings.config),
        "failures": _lines(files.failures),
    }


def run_examples(files: ReportFiles, threads: int) -> list[dict[str, Any]]:
    """Return example tiles as they are predicted where they are scored."""
    if not files.tiles or not files.ensemble:
        return []
    from floodloom.learning.inference import load_ensemble  # both of which need torch
    from floodloom.learning.relabelling.scene_likelihood import tile_predictor

    ensemble = load_ensemble(files.ensemble, threads=threads)
    return example_tiles(open_tiles(files.tiles), tile_predictor(ensemble), _EXAMPLES)


def _trained(path: Path, phase: str) -> Trained:
    from floodloom.learning.checkpoint import read_metadata  # which needs torch

    return Trained(path.stem, phase, read_metadata(path))


def _rounds(audits: Sequence[Path], pseudo: Sequence[Path]) -> list[dict[str, Any]]:
    if pseudo and len(pseudo) != len(audits):
        raise InputError(
            f"report: {len(pseudo)} pseudo-labelled stores for {len(audits)} audits; give one each"
        )
    found = [read_audit(path) for path in audits]
    stores = zip(found, pseudo, strict=False)
    shown = {
        audit.round: pseudo_labelled_tiles(open_tiles(path), _EXAMPLES) for audit, path in stores
    }
    return audit_views(found, shown)


def _calibration(scores: dict[str, Any]) -> Any:
    found = scores.get("tiles", {}).get("calibration")
    return calibration_chart({"test tiles": found}) if found else None


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: not a readable list of failures ({error.strerror})") from error
    return [printable(one) for one in text.splitlines()]


def _configuration(text: str) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"report: config isn't JSON text ({error}); pass a JSON dump") from error
