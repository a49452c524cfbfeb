"""The tables of `make bench-labels`, and which methods learn from what."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

DATA_SETS = {
    "ombria": "OMBRIA, chips of half the size, its test set left out",
    "stac": "STAC Overflow, tiles of four chips, a quarter of each left out",
}
AMOUNTS = {
    "chips-1": "1 % of the chips, at least two",
    "chips-5": "5 % of the chips",
    "chips-10": "10 % of the chips",
    "chips-50": "50 % of the chips",
    "chips-100": "all chips in full",
    "clicks-1": "1 click a chip",
    "clicks-3": "3 clicks a chip",
    "clicks-10": "10 clicks a chip",
    "clicks-30": "30 clicks a chip",
    "clicks-100": "100 clicks a chip",
    "scribbles-4": "4 scribbles a chip",
    "pixels-1": "1 % of the pixels",
    "images": "whether a chip holds flood",
    "none": "nothing",
}
FEW = {"chips-1": "1 % of the chips", "chips-5": "5 %", "chips-10": "10 %"}
"""Amounts at which something is to be gained over plain labels, with short titles."""
OF_PIXELS = {
    "supervised": "cross-entropy",
    "supervised-longer": "cross-entropy, twice the steps",
    "ce-dice": "cross-entropy and Dice",
    "festa": "FESTA",
    "pseudo-labelled": "pseudo labels",
    "pretrained-masked": "pretrained, masked",
    "pretrained-contrast": "pretrained, contrast",
    "default-start": "from the model in the package",
}
OF_IMAGES = {"supervised": "cross-entropy", "image-level": "image-level"}
OF_NOTHING = {
    "all-flood": "flood everywhere",
    "otsu": "Otsu",
    "kim": "Kim",
    "mask-contrast": "MaskContrast",
    "default-model": "the model in the package",
}
FITTING = {"images": OF_IMAGES, "none": OF_NOTHING}
"""Methods that learn from an amount of labels, with their titles; `OF_PIXELS` from all others."""

_OF_SCENES = frozenset({"otsu", "kim", "mask-contrast", "default-model", "default-start"})
"""Methods that need VV and VH of a scene, which OMBRIA's chips aren't."""


def fitting(data_set: str, amount: str) -> dict[str, str]:
    """Return the methods of an amount of labels of a data set, and their titles."""
    methods = FITTING.get(amount, OF_PIXELS)
    left_out = _OF_SCENES if data_set == "ombria" else frozenset()
    return {name: title for name, title in methods.items() if name not in left_out}


def dense_iou(found: dict[str, Any]) -> dict[str, float]:
    """Return what cross-entropy has with all labels of a data set, by seed."""
    dense = found.get("chips-100", {}).get("supervised", {})
    return {seed: one["iou"] for seed, one in dense.items()}


def gains(
    found: dict[str, Any], amount: str, method: str, *, over: str = "supervised"
) -> dict[str, float]:
    """Return by how many points of IoU a method is over another with the same labels, by seed."""
    ours, theirs = (found.get(amount, {}).get(name, {}) for name in (method, over))
    return {seed: 100 * (one["iou"] - theirs[seed]["iou"]) for seed, one in ours.items()
            if seed in theirs}  # fmt: skip


def labels_tables(result: dict[str, Any]) -> list[str]:
    """Return the IoU by amount of labels and method, one table for each data set."""
    tables = [
        "Pooled IoU of flood on ground that nothing was learnt from, by seed (– where one wasn't "
        "measured), and in parentheses its share of what cross-entropy has with all labels, mean "
        "of the seeds. Labels are set by a simulated annotator (`floodloom annotate`); of the "
        "labelled chips a fifth isn't trained on. Every network has the same number of steps, and "
        "those that are pretrained or relabelled as many again.\n"
    ]
    seeds = [str(seed) for seed in result["seeds"]]
    for data_set, title in result.get("titles", DATA_SETS).items():
        found = {a: methods for a, methods in result["rows"].get(data_set, {}).items() if methods}
        of_pixels = {a: found[a] for a in AMOUNTS if a in found and a not in FITTING}
        tables.append(_table(of_pixels, found, title, fitting(data_set, "chips-100"), seeds))
        for amount in FITTING:
            if amount in found:
                methods = fitting(data_set, amount)
                tables.append(_table({amount: found[amount]}, found, title, methods, seeds))
        tables.append(_gains_table(found, data_set))
        missing = "; ".join(what for amount, what in AMOUNTS.items() if amount not in found)
        tables.append(f"Not measured of {data_set}: {missing}.\n" if missing else "")
    return [table for table in tables if table]


def _table(
    rows: dict[str, Any],
    found: dict[str, Any],
    title: str,
    methods: dict[str, str],
    seeds: Sequence[str],
) -> str:
    if not rows:
        return ""
    lines = [
        f"| {title} | labelled pixels | {' | '.join(methods.values())} |",
        "|---|---|" + "---|" * len(methods),
    ]
    dense = dense_iou(found)
    for amount, by_method in rows.items():
        pixels = next(iter(next(iter(by_method.values())).values()))["labelled_pixels"]
        cells = [_cell(by_method.get(method, {}), dense, seeds) for method in methods]
        lines.append(f"| {AMOUNTS[amount]} | {pixels:,} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(
    by_seed: dict[str, dict[str, float]], dense: dict[str, float], seeds: Sequence[str]
) -> str:
    if not by_seed:
        return "not measured"
    scores = [f"{by_seed[seed]['iou']:.3f}" if seed in by_seed else "–" for seed in seeds]
    shares = [one["iou"] / dense[seed] for seed, one in by_seed.items() if seed in dense]
    kept = f" ({mean(shares):.0%})" if shares else ""
    return ", ".join(scores) + kept


def _gains_table(found: dict[str, Any], data_set: str) -> str:
    """Return what methods gain over cross-entropy in as many and in twice the steps, by seed."""
    lines = []
    for amount, title in FEW.items():
        for method, named in fitting(data_set, amount).items():
            cells = [
                ", ".join(f"{gain:+.1f}" for _, gain in sorted(gains(found, amount, method,
                                                                     over=over).items()))
                for over in ("supervised", "supervised-longer")
            ]  # fmt: skip
            if method not in ("supervised", "ce-dice", "festa") and any(cells):
                lines.append(f"| {title} of {data_set} | {named} | {' | '.join(cells)} |")
    if not lines:
        return ""
    head = (
        "| points of IoU, each seed | | over cross-entropy | over cross-entropy, twice the steps |"
    )
    return "\n".join([head, "|---|---|---|---|", *lines]) + "\n"
