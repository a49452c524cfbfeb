"""`make bench-zoo`: every architecture on OMBRIA, on the official test chips and on unseen events.

FLOODLOOM_DATA names the folder of the real data sets. Every training is a process of its own whose
row is written at once, so what was taken is not taken again: delete a row to have it repeated. Two
trainings run side by side, each on one thread, which takes less time than one after the other on
two; speeds are taken alone. The whole takes hours on two cores; `python -m benchmarks.zoo speed
quick` takes only these parts. A training that was killed goes on after its last epoch, which is
kept under results/bench-zoo.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data import data_root
from benchmarks.ombria_events import event_of_chips
from benchmarks.own import own
from benchmarks.record import RESULTS, record
from benchmarks.zoo_tables import PUBLISHED_SIZES, VARIANTS
from floodloom.adapters import Chips
from floodloom.datasets import ombria
from floodloom.files import read_json
from floodloom.learning.data.augmentation import Augmentation, rotate_and_flip, undo_rotate_and_flip
from floodloom.learning.data.samples import Samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.losses.ce_dice import ce_dice
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores, mean_iou
from floodloom.learning.network import Execution, choose_execution, default_device
from floodloom.learning.training.loop import fit
from floodloom.learning.training.settings import TrainingSettings
from floodloom.learning.training.state import Sidecars
from floodloom.models.base import Segmenter
from floodloom.models.registry import build, names

THREADS = {"train": 1, "time": 2}
SIDE_BY_SIDE = 2
SEEDS = (0, 1, 2)
FOLDS = 5
QUARTER = 4
HELD_OUT = 0.12
KEPT = Path("results") / "bench-zoo"
PARTS = ("speed", "quick", *VARIANTS, "full", "long", "events")
LONG = ("hourglass",)
"""What is trained for longer: of the best, what takes least time."""

PLANS = {
    "quick": TrainingSettings(epochs=10, precision="bfloat16"),
    "full": TrainingSettings(epochs=15, batch=4, monitor="epoch", precision="bfloat16"),
    "long": TrainingSettings(epochs=30, batch=4, monitor="epoch", precision="bfloat16"),
    "events": TrainingSettings(epochs=8, batch=4, precision="bfloat16"),
}
PLANS |= dict.fromkeys(VARIANTS, PLANS["quick"])
"""`full` and `long` train on all official training chips and keep the last epoch."""

Row = dict[str, Any]
WRITING = Lock()


def main() -> None:
    """Take what is missing of the given parts, or of all."""
    if len(sys.argv) > 2 and sys.argv[1] in ("train", "time"):
        torch.set_num_threads(THREADS[sys.argv[1]])
        steps: dict[str, Callable[..., Row]] = {"train": trained, "time": timed}
        print(json.dumps(steps[sys.argv[1]](*sys.argv[2:])))
        return
    for part in sys.argv[1:] or PARTS:
        missing = [job for job in jobs(part) if row_at(figures(), job[0]) is None]
        with ThreadPoolExecutor(1 if part == "speed" else SIDE_BY_SIDE) as pool:
            list(pool.map(take, missing))


def take(job: tuple[tuple[str, ...], list[str]]) -> None:
    """Take a row and write it."""
    keys, command = job
    row: Row = own("zoo", *command)
    with WRITING:
        found = figures()
        put_row(found, keys, row)
        record("zoo", found, command="make bench-zoo", seeds=list(SEEDS))


def jobs(part: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield where each row of a part goes, and what takes it."""
    if part == "speed":
        for name in names():
            yield (part, name), ["time", name]
        for name in PUBLISHED_SIZES:
            yield ("speed_of_published_sizes", name), ["time", name, "published"]
    elif part == "quick":
        for name in names():
            yield (part, name), ["train", name, "0", part]
    elif part in VARIANTS:
        for variant in VARIANTS[part]:
            yield (part, variant), ["train", "unet", "0", part, variant]
    else:
        variants = [f"seed-{seed}" for seed in SEEDS]
        if part == "events":
            variants = [f"fold-{fold}" for fold in range(FOLDS)]
        for name in LONG if part == "long" else best_three():
            for number, variant in enumerate(variants):
                yield (part, name, variant), ["train", name, str(number), part]


def best_three() -> tuple[str, ...]:
    """Return U-Net and the two best others of the quick part."""
    quick = figures().get("quick", {})
    if set(quick) != set(names()):
        raise RuntimeError("benchmarks/results/zoo.json: the quick part isn't complete; take it")
    others = sorted(set(quick) - {"unet"}, key=lambda name: quick[name]["iou"], reverse=True)
    return ("unet", *others[:2])


def figures() -> Row:
    """Return what has been taken."""
    path = RESULTS / "zoo.json"
    if not path.exists():
        return {}
    found: Row = read_json(path)
    return found


def row_at(found: Row, keys: tuple[str, ...]) -> Row | None:
    """Return a row, None if it hasn't been taken."""
    row: Row | None = found
    for key in keys:
        row = None if row is None else row.get(key)
    return row


def put_row(found: Row, keys: tuple[str, ...], row: Row) -> None:
    """Put a row where it belongs."""
    *outer, last = keys
    for key in outer:
        found = found.setdefault(key, {})
    found[last] = row


@dataclass(frozen=True)
class Split:
    """Positions of the chips that are trained on, validated on and tested on."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def official_split(chips: Chips, every: int = 1) -> Split:
    """Return the data set's own split.

    Every so many of the training chips, of which whole runs of neighbours are held out to choose
    the epoch; if all are taken, all are trained on, and what is called validation shows progress.
    """
    split = np.array(chips.splits)
    test, validation = np.flatnonzero(split == "test"), np.flatnonzero(split == "validation")
    if every == 1:
        return Split(np.flatnonzero(split != "test"), validation, test)
    training = np.flatnonzero((split == "train") | (split == "target"))
    return Split(training[::every], validation[::every], test)


def events_split(events: NDArray[np.int64], fold: int) -> Split:
    """Test on the events of one fold of all chips; validate on some of the others."""
    names_of_events = np.random.default_rng(0).permutation(np.unique(events))
    size = np.array([(events == event).sum() for event in names_of_events])
    fold_of_event = np.zeros(len(names_of_events), dtype=np.int64)
    filled = np.zeros(FOLDS)
    for event in np.argsort(-size, kind="stable"):  # the fold that has least takes the next largest
        fold_of_event[event] = filled.argmin()
        filled[fold_of_event[event]] += size[event]
    tested = names_of_events[fold_of_event == fold]
    others = names_of_events[fold_of_event != fold]
    counts = np.cumsum([(events == event).sum() for event in others])
    held = others[: 1 + int(np.searchsorted(counts, HELD_OUT * counts[-1]))]
    test, validation = np.isin(events, tested), np.isin(events, held)
    return Split(
        np.flatnonzero(~test & ~validation), np.flatnonzero(validation), np.flatnonzero(test)
    )


def trained(name: str, number: str, part: str, variant: str = "") -> Row:
    """Train one network and score it on its test chips.

    A variant is a kind of upsampling or a loss, by the part.
    """
    chips = ombria.chips(data_root("ombria"))
    tiles = Samples.of(chips.image, chips.label)
    every = QUARTER if part in ("quick", *VARIANTS) else 1
    seed = 0 if part == "events" else int(number)
    split = official_split(chips, every)
    if part == "events":
        split = events_split(event_of_chips(chips), int(number))
    samples = [
        tiles.take(torch.from_numpy(rows))
        for rows in (split.training, split.validation, split.test)
    ]
    torch.manual_seed(seed)
    arguments = {"upsampling": variant} if part == "upsampling" else {}
    module = build(name, tiles.image.shape[1], 2, **arguments)
    changes = {"loss": variant} if part == "losses" else {}
    plan = PLANS[part].model_copy(update={"seed": seed, **changes})
    fitted = fit(
        module,
        TrainingSet.of(samples[0], 2),
        samples[1],
        plan,
        augmentation=Augmentation(),
        sidecars=Sidecars.of(KEPT / f"{part}-{name}-{number}{variant}.safetensors"),
    )
    row: Row = {
        "parameters": sum(p.numel() for p in module.parameters()),
        "chips": [len(part_of) for part_of in samples],
        "epochs": plan.epochs,
        "execution": str(fitted.execution),
        "validation_iou": fitted.scores["iou"],
    }
    return (
        row | scored(module, samples[2], tta=False) | {"tta": scored(module, samples[2], tta=True)}
    )


@torch.inference_mode()
def scored(module: Segmenter, test: Samples, *, tta: bool) -> Row:
    """Return pooled flood IoU, the mean of the chips' macro Jaccard, and the counts behind them."""
    execution = Execution(default_device(), channels_last=True)
    execution.place(module).eval()
    matrices = []
    for batch in test.split(4):
        image = execution.image(batch.image)
        probability = torch.zeros(())
        for element in range(8 if tta else 1):
            view = rotate_and_flip(image, element)
            probability = (
                probability
                + undo_rotate_and_flip(module(view).float().softmax(dim=1), element).cpu()
            )
        guess = probability.argmax(dim=1).numpy()
        for one, truth in zip(guess, batch.label.cpu().numpy(), strict=True):
            matrices.append(confusion_matrix(one, truth, 2))
    pooled = np.sum(matrices, axis=0)
    return {
        "iou": foreground_scores(pooled)["iou"],
        "macro_jaccard": statistics.mean(mean_iou(matrix) for matrix in matrices),
        "confusion": pooled.tolist(),
    }


def timed(name: str, size: str = "default") -> Row:
    """Return how fast a network trains and infers, in the execution that is chosen for it."""
    arguments = PUBLISHED_SIZES[name] if size == "published" else {}
    torch.manual_seed(0)
    module = build(name, 2, 2, **arguments)
    image = torch.randn(4, 2, 256, 256)
    label = torch.randint(0, 2, (4, 256, 256)).to(default_device())
    execution = choose_execution(module, "auto")
    placed = execution.image(image)
    optimizer = torch.optim.AdamW(module.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with execution.autocast():
            logits = module(placed)
        ce_dice(logits.float(), label).backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode(), execution.autocast():
            module(placed)

    module.train()
    training = rate(step, image)
    module.eval()
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "arguments": arguments,
        "execution": str(execution),
        "training_mpx_per_s": training,
        "inference_mpx_per_s": rate(infer, image),
    }


def rate(work: Callable[[], None], image: torch.Tensor, times: int = 5) -> float:
    """Return the megapixels (10^6) per second of the median of several runs."""
    taken = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    pixels = image.shape[0] * image.shape[2] * image.shape[3]
    return pixels / 1e6 / statistics.median(taken[1:])


if __name__ == "__main__":
    main()
