"""`make bench-relabel`: what relabelling adds where some ground has no labels.

Every (protocol, seed, method) that has finished is kept in `benchmarks/results/relabel.json` and
isn't run again unless `--repeat` asks for it, so a run that was stopped goes on.

python -m benchmarks.relabel [--large] [--name relabel] [--protocols ombria-10 ...]
    [--seeds 0 1 2] [--methods supervised pixel-gate ...] [--repeat] [--data ../shared/data]

It is cut to what two cores can do: chips of half the size, one narrow network, few steps. `--large`
is for a GPU: whole chips, two members, the presets' own networks, ten times as many steps; its
figures are kept in `relabel-large.json`. Trainings come out otherwise on another processor, by
points, so a file holds those of one; `--name` makes another.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.record import RESULTS, record, require_same_hardware
from benchmarks.relabel_protocols import (
    FULL,
    SMALL,
    Size,
    etci_protocol,
    ombria_protocol,
    simulator_protocol,
    write_protocol,
)
from floodloom.arrays import IGNORE
from floodloom.config.load import load_config
from floodloom.files import read_json
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.inference import Ensemble, load_ensemble
from floodloom.learning.metrics.pixels import Counts, count
from floodloom.learning.metrics.reliability import foreground_reliability
from floodloom.learning.relabelling.audit import read_audit
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.relabelling.target_calibration import note_likelihood
from floodloom.learning.training.settings import TrainSettings
from floodloom.log import get_logger, set_up_logging
from floodloom.report.examples import predict_tiles
from floodloom.stages.relabel import relabel
from floodloom.stages.train import train
from floodloom.tiles.store import open_tiles, write_tiles

_log = get_logger(__name__)
SUPERVISED, WEIGHED, ALL_LABELS = "supervised", "supervised-likelihood", "all-labels"
DEFAULT = RelabelSettings().preset
Protocol = Callable[[Path, int, Size], dict[str, xr.Dataset]]
PROTOCOLS: dict[str, Protocol] = {
    "ombria-10": lambda data, seed, size: ombria_protocol(data / "ombria", 0.10, seed, size),
    "ombria-25": lambda data, seed, size: ombria_protocol(data / "ombria", 0.25, seed, size),
    "etci": lambda data, seed, size: etci_protocol(data / "etci2021", seed, size),
    "simulator": lambda data, seed, size: simulator_protocol(seed, size),
}
ABLATIONS: dict[str, dict[str, Any]] = {
    "gate": {"thresholds": [0.0]},
    "temperature": {"calibrate": False},
    "priors": {"priors": "none"},
    "likelihood": {"likelihood": 0.0},
    "tta": {"tta": False},
    "ensemble": {},
}
"""What each row of the ablation takes away. `ensemble` takes away all networks but one; where the
budget has one alone, it gives it another."""

BAD_START, DRY = "bad-start", "dry"
HARD = (BAD_START, DRY)
"""What the default has to survive: a first network that takes land for water, and unlabelled tiles
without water. It is scored as any method, so it stands beside the supervised network."""


@dataclass(frozen=True)
class Budget:
    """How much is trained: networks and their settings, members of an ensemble, and steps.

    `own` is whether a preset's own networks are used; otherwise all methods have the same ones.
    """

    size: Size
    training: dict[str, Any]
    members: int
    steps: int
    own: bool


_COMMON = {"batch": 8, "speckle_looks": None, "patience": 1000, "cutmix": 0.5, "average": 0.99}
BUDGETS = {
    "relabel": Budget(SMALL, {**_COMMON, "width": 8, "precision": "bfloat16"}, 1, 400, False),
    "relabel-large": Budget(FULL, {**_COMMON, "width": 32}, 2, 4000, True),
}


@dataclass(frozen=True)
class Bench:
    """One protocol with one seed: its folder of stores, its seed and what may be spent."""

    folder: Path
    seed: int
    budget: Budget
    threads: int

    def run(self, method: str, ablated: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the scores of a method, and why rounds were refused."""
        if method in (SUPERVISED, ALL_LABELS):
            store = "labelled" if method == SUPERVISED else "all"
            return self._scored([self.supervised(store, m) for m in range(self.budget.members)])
        if method == WEIGHED:
            return self._scored([self._weighed(m) for m in range(self.budget.members)])
        if method in HARD:
            return self._hard_case(method)
        config = load_config(
            {"run": {"name": method}, "dataset": "ombria", "data_root": ".",
             "relabel": {"preset": method}}
        )  # fmt: skip
        settings = config.relabel.model_copy(update=ablated or {})
        given = {**PRESETS.load(method).get("train", {})}
        given["batch_statistics"] = settings.batch_statistics
        if not self.budget.own:
            given.pop("arguments", None)
        rounds = config.run.rounds or 1
        return self._rounds(method, settings, given, rounds, bool(config.run.fine_tuned))

    def supervised(self, store: str, member: int) -> Path:
        """Return a network trained on the labelled tiles of a store, trained once."""
        out = self.folder / f"{store}-{member}.safetensors"
        if not out.exists():
            tiles = self.folder / f"{store}.zarr"
            self._train([tiles], out, member, epochs=self._epochs([tiles]))
        return out

    def _hard_case(self, method: str) -> dict[str, Any]:
        """Return the scores of the default under one of `HARD`, and what it began with."""
        place = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{method}-"))
        for store in self.folder.glob("*.zarr"):
            (place / store.name).symlink_to(store)
        other = replace(self, folder=place)
        if method == DRY:
            for network in self.folder.glob("labelled-*.safetensors"):
                (place / network.name).symlink_to(network)
            (place / "unlabelled.zarr").unlink()
            (place / "unlabelled.zarr").symlink_to(self.folder / "dry.zarr")
        else:
            wrong = write_tiles(
                _inverted(open_tiles(place / "labelled.zarr")), place / "wrong.zarr"
            )
            for member in range(self.budget.members):
                out = place / f"labelled-{member}.safetensors"
                self._train([wrong], out, member, epochs=self._epochs([wrong]))
        began = other.run(SUPERVISED)["inductive"]
        return {**other.run(DEFAULT), "began": began}

    def _weighed(self, member: int) -> Path:
        """Return the supervised network with each tile's local likelihood, without any round."""
        tiles = open_tiles(self.folder / "labelled.zarr")
        held_out = radar_samples(training_and_validation(tiles)[1])
        checkpoint = load_checkpoint(self.supervised("labelled", member))
        out = self.folder / f"weighed-{member}.safetensors"
        return save_checkpoint(note_likelihood(checkpoint, held_out, 1.0), out)

    def _rounds(
        self,
        method: str,
        settings: RelabelSettings,
        given: dict[str, Any],
        rounds: int,
        joins: bool,
    ) -> dict[str, Any]:
        labelled, members = self.folder / "labelled.zarr", self.budget.members
        current = [self.supervised("labelled", member) for member in range(members)]
        first, refused, previous = list(current), [], None
        for number in range(1, rounds + 1):
            place = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{method}-{number}-"))
            pseudo, audit = place / "pseudo.zarr", place / "audit.json"
            relabel(
                tiles=[self.folder / "unlabelled.zarr"], validation=[labelled],
                checkpoints=[*first, *current] if joins else current, out=pseudo, audit=audit,
                previous=previous, threads=self.threads,
                settings=settings.model_copy(update={"round": number}),
            )  # fmt: skip
            epochs = self._epochs([labelled, pseudo])
            more = {**given, "epochs": epochs, "fine_tune_epochs": epochs}
            current = [
                self._train([labelled], place / f"{member}.safetensors", member,
                            pseudo=[pseudo], init=start, audit=audit, **more)
                for member, start in enumerate(current)
            ]  # fmt: skip
            previous = pseudo
            found = read_audit(audit)
            refused += [reason for reason in (found.reason,) if reason]
        return {
            **self._scored([*first, *current] if joins else current),
            "refused": refused,
            "held_out_ece": found.calibration.after.expected_calibration_error,
        }

    def _train(self, tiles: Sequence[Path], out: Path, member: int, **more: Any) -> Path:
        seed = 100 * self.seed + member
        settings = {**self.budget.training, "fine_tune_learning_rate": 1e-3, **more}
        return train(
            tiles=list(tiles),
            out=out,
            threads=self.threads,
            settings=TrainSettings(seed=seed, **settings),
        )

    def _epochs(self, stores: Sequence[Path]) -> int:
        """Passes over the training tiles that make the budget's steps."""
        tiles = sum(int((open_tiles(store).split.values == "train").sum()) for store in stores)
        steps = -(-max(tiles, 1) // int(self.budget.training["batch"]))
        return max(round(self.budget.steps / steps), 1)

    def _scored(self, checkpoints: Sequence[Path]) -> dict[str, Any]:
        ensemble = load_ensemble(checkpoints, threads=self.threads)
        inductive, error = _score(ensemble, self.folder / "inductive.zarr")
        transductive, _ = _score(ensemble, self.folder / "transductive.zarr")
        return {
            "inductive": inductive,
            "transductive": transductive,
            "expected_calibration_error": error,
        }


def _inverted(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles that call land water, and water land."""
    label = tiles["label"].values
    wrong = np.where(label == IGNORE, label, 1 - label).astype(label.dtype)
    return tiles.assign(label=tiles["label"].copy(data=wrong))


def _score(ensemble: Ensemble, store: Path) -> tuple[float | None, float | None]:
    """Pooled IoU of class 1 and expected calibration error, with the eight symmetries."""
    if not store.exists():
        return None, None
    tiles = open_tiles(store)
    probability = predict_tiles(tiles, tile_predictor(ensemble, tta=True), 16)
    label = tiles.label.values
    known = (label != IGNORE) & np.isfinite(probability)
    counts = [count(*chip) for chip in zip(probability >= 0.5, label == 1, known, strict=True)]
    curve = foreground_reliability(probability[known], (label == 1)[known])
    return round(sum(counts, Counts()).iou, 4), round(curve.expected_calibration_error, 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what isn't there yet."""
    asked = _arguments(arguments)
    name = asked.name or _kind(asked)
    path = RESULTS / f"{name}.json"
    figures = read_json(path) if path.exists() else {}
    require_same_hardware(path, figures)
    kept = figures.get("protocols", {})
    order = [protocol for protocol in PROTOCOLS if protocol in kept]
    figures = {"default": DEFAULT, "protocols": {protocol: kept[protocol] for protocol in order}}
    for protocol in asked.protocols:
        for seed in asked.seeds:
            _run_seed(figures, protocol, seed, name, asked)
    if not asked.protocols:
        _log.warning("no protocol was asked for")


def _run_seed(
    figures: dict[str, Any], protocol: str, seed: int, name: str, asked: argparse.Namespace
) -> None:
    """Run the methods of one protocol and seed, and write the figures after each."""
    kept = figures["protocols"].setdefault(protocol, {})
    jobs: list[tuple[str, str, dict[str, Any] | None]] = [
        ("seeds", method, None) for method in asked.methods
    ]
    if protocol in asked.hard:
        jobs += [("hard", method, None) for method in HARD]
    if protocol == asked.ablate:
        jobs += [("ablation", without, change) for without, change in ABLATIONS.items()]
    jobs = [
        job for job in jobs
        if asked.repeat or job[1] not in kept.get(job[0], {}).get(str(seed), {})
    ]  # fmt: skip
    if not jobs:
        return
    with tempfile.TemporaryDirectory(prefix="bench-relabel-") as folder:
        budget = BUDGETS[_kind(asked)]
        write_protocol(PROTOCOLS[protocol](asked.data, seed, budget.size), Path(folder))
        for part, method, change in jobs:
            bench = Bench(Path(folder), seed, _ablated(budget, part, method), asked.threads)
            found = bench.run(DEFAULT if part == "ablation" else method, change)
            found["members"] = bench.budget.members
            _log.info("%s, seed %d, %s: %s", protocol, seed, method, found)
            kept.setdefault(part, {}).setdefault(str(seed), {})[method] = found["inductive"]
            kept.setdefault(f"{part}_more", {}).setdefault(str(seed), {})[method] = found
            given = (" --large" if asked.large else "") + (f" --name {name}" if asked.name else "")
            command = f"python -m benchmarks.relabel{given}"
            record(name, figures, command=command, seeds=_seeds(figures))


def _kind(asked: argparse.Namespace) -> str:
    return "relabel-large" if asked.large else "relabel"


def _seeds(figures: dict[str, Any]) -> list[int]:
    """Return the seeds that any protocol has figures of."""
    return sorted({int(seed) for kept in figures["protocols"].values() for seed in kept["seeds"]})


def _ablated(budget: Budget, part: str, method: str) -> Budget:
    if part != "ablation" or method != "ensemble":
        return budget
    return replace(budget, members=2 if budget.members == 1 else 1)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--name", help="of the file under benchmarks/results")
    parser.add_argument("--protocols", nargs="*", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    methods = [
        SUPERVISED,
        WEIGHED,
        *(name for name in PRESETS.names if name != "image-level"),
        ALL_LABELS,
    ]
    parser.add_argument("--methods", nargs="*", default=methods)
    parser.add_argument("--ablate", default="ombria-25", help="protocol of the ablation, or none")
    parser.add_argument(
        "--hard", nargs="*", default=["ombria-25", "simulator"],
        help="protocols in which the default gets a bad first network, and tiles without water",
    )  # fmt: skip
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(given)


if __name__ == "__main__":
    set_up_logging()
    main()
