"""`make bench-distill`: what a teacher that sees optical images gives a radar student.

On OMBRIA: 624 training chips, of which 312 have optical images, and 70 test chips; one student and
one budget for all methods. Then the gain against clouds, time gap and shift, on simulated pairs.

Every finished (seed, method) is kept in benchmarks/results/distill.json and not taken again, so the
command goes on where it was stopped; `--redo` starts anew. A file holds the trainings of one
processor, as they come out otherwise on another, by a point; `--name` makes another file.
`--name distill-half --shrink 2` takes chips of half the size, in half the time;
`--name distill-few --shrink 2 --labelled-run 4` leaves a quarter of the labels, and the optical
images of the other chips.
FLOODLOOM_DATA names the folder of the data. Tried out in two minutes by
`python -m benchmarks.distill --name tiny --epochs 1 --width 4 --chips 8 --seeds 0`.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.data import data_root
from benchmarks.distill_curves import CURVES, take_curve
from benchmarks.distill_ombria import (
    SCORES,
    Budget,
    Trainings,
    few_labelled,
    ombria_tiles,
)
from benchmarks.record import RESULTS, record, require_same_hardware
from floodloom.files import read_json
from floodloom.learning.data.optical import drop_optical
from floodloom.learning.distillation.settings import DistillationTerms
from floodloom.log import get_logger

DEFAULT = "from_teacher+logit"
DISTILLATIONS: dict[str, DistillationTerms] = {
    DEFAULT: DistillationTerms(),
    "logit": DistillationTerms(),
    "logit_where_clear": DistillationTerms(),
    "hfd": DistillationTerms(feature_weight=1.0, logit_weight=0.0),
    "attention": DistillationTerms(logit_weight=0.0, attention_weight=1.0),
    "hfd+logit": DistillationTerms(feature_weight=0.5),
    "logit_as_long": DistillationTerms(),
}
"""The first is what the stage `distill` does when nothing is chosen, if all chips have labels. A
name that begins with `from_teacher` starts from the teacher's weights, others from fresh ones; one
that ends with `as_long` has the epochs of teacher and student, one with `where_clear` a teacher
that counts only where the image is clear."""
UNLABELLED = {f"{name}+unlabelled": DISTILLATIONS[name] for name in (DEFAULT, "logit")}
"""Those that also learn from the teacher on chips without labels (`distill.unlabelled`)."""

METHODS = list(dict.fromkeys((*list(SCORES)[:2], DEFAULT, *SCORES, *DISTILLATIONS, *UNLABELLED)))
"""All that can be taken; what the default method is compared with comes first, with all seeds."""

LITERATURE = {
    "Garg et al. 2023, cross-modal distillation, Sen1Floods11": 0.065,
    "Zhu et al. 2025, channel-attention alignment": 0.035,
}
"""IoU gained on other data, as published."""

_log = get_logger("benchmarks.distill")


def main(arguments: Sequence[str] | None = None) -> None:
    """Take what hasn't been taken yet."""
    options = _options(arguments)
    budget = Budget(
        epochs=options.epochs,
        width=options.width,
        shrink=options.shrink,
        labelled_run=options.labelled_run,
        chips=options.chips,
    )
    folder = Path("results") / f"bench-{options.name}"
    figures = None if options.redo else _begun(options.name, budget)
    if figures is None:
        shutil.rmtree(folder, ignore_errors=True)
        figures = {"seeds": {}, "curves": {}}
    figures |= {"default": DEFAULT, "budget": asdict(budget), "literature": LITERATURE}
    command = "make bench-distill"
    if options.name != "distill":
        command = f"python -m benchmarks.distill --name {options.name}"
        command += f" --shrink {options.shrink}" if options.shrink > 1 else ""
        command += f" --labelled-run {options.labelled_run}" if options.labelled_run > 1 else ""
    keep = partial(record, options.name, figures, command=command)
    _take_scores(figures, budget, options, folder, keep)
    for seed, curve in product(options.seeds, options.curves):
        taken: dict[str, Any] = figures["curves"].setdefault(curve, {})
        if str(seed) not in taken:
            _log.info("simulated pairs: seed %d, %s", seed, curve)
            taken[str(seed)] = take_curve(curve, seed, small=bool(options.chips))
            keep()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Distillation on OMBRIA and on simulated pairs.")
    parser.add_argument("--name", default="distill", help="of the file under benchmarks/results")
    parser.add_argument("--epochs", type=int, default=Budget.epochs)
    parser.add_argument("--width", type=int, default=Budget.width)
    parser.add_argument("--shrink", type=int, default=1, help="px averaged in each direction")
    parser.add_argument(
        "--labelled-run", type=int, default=1, help="one run of chips in so many keeps its labels"
    )
    parser.add_argument("--chips", type=int, help="of each split; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="*", choices=METHODS)
    parser.add_argument("--curves", nargs="*", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--redo", action="store_true", help="start anew")
    options = parser.parse_args(arguments)
    if options.methods is None:
        options.methods = [
            name for name in METHODS if options.labelled_run > 1 or name not in UNLABELLED
        ]
    elif options.labelled_run == 1 and (needless := set(options.methods) & set(UNLABELLED)):
        parser.error(f"{', '.join(sorted(needless))}: all chips have labels; give --labelled-run")
    return options


def _begun(name: str, budget: Budget) -> dict[str, Any] | None:
    """Return the figures of a run with the same budget, if there is one."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    before = read_json(path)
    require_same_hardware(path, before)
    return before if before.get("budget") == asdict(budget) else None


def _take_scores(
    figures: dict[str, Any], budget: Budget, asked: argparse.Namespace, folder: Path, keep: Any
) -> None:
    tiles = None
    for name in asked.methods:
        for seed in asked.seeds:
            scores: dict[str, float] = figures["seeds"].setdefault(str(seed), {})
            if name in scores:
                continue
            if tiles is None:
                tiles = ombria_tiles(data_root("ombria"), budget)
            trainings = Trainings(
                few_labelled(tiles, budget.labelled_run, seed), budget, seed, folder
            )
            scores |= SCORES[name](trainings) if name in SCORES else _distilled(name, trainings)
            _log.info("seed %d, %s: %.4f", seed, name, scores[name])
            keep()


def _distilled(name: str, trainings: Trainings) -> dict[str, float]:
    student = trainings.distilled(
        name,
        (DISTILLATIONS | UNLABELLED)[name],
        from_teacher=name.startswith("from_teacher"),
        unlabelled=name in UNLABELLED,
        as_long=name.endswith("as_long"),
        where_clear=name.endswith("where_clear"),
    )
    return {name: trainings.score((student, drop_optical))}


if __name__ == "__main__":
    main()
