"""The tables of `make bench-labels`, and which methods learn from what."""

from __future__ import annotations

from typing import Any

DATA_SETS = {
    "ombria": "OMBRIA, chips of half the size, events left out",
    "stac": "STAC Overflow, tiles of four chips, a flood left out",
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
OF_PIXELS = {
    "supervised": "cross-entropy",
    "ce-dice": "cross-entropy and Dice",
    "festa": "FESTA",
    "pseudo-labelled": "pseudo labels",
}
OF_IMAGES = {"supervised": "cross-entropy", "image-level": "image-level"}
OF_NOTHING = {"all-flood": "flood everywhere"}
FITTING = {"images": OF_IMAGES, "none": OF_NOTHING}
"""Methods that learn from an amount of labels, with their titles; `OF_PIXELS` from all others."""


def labels_tables(result: dict[str, Any]) -> list[str]:
    """Return the IoU of every amount of labels and method, one table for each data set."""
    tables = [
        "Pooled IoU of flood on events that nothing was learnt from, by seed where there are "
        "several. Labels are set by a simulated annotator (`floodloom annotate`); of the labelled "
        "chips a fifth isn't trained on. Every network has the same number of steps.\n"
    ]
    for data_set, title in DATA_SETS.items():
        rows = [
            f"| {title} | labelled pixels | method | IoU | of all labels' | precision | recall |",
            "|---|---|---|---|---|---|---|",
        ]
        found = result["rows"].get(data_set, {})
        for amount, what in AMOUNTS.items():
            for method, name in FITTING.get(amount, OF_PIXELS).items():
                rows.append(_row(found, amount, method, f"{what} | {{}} | {name}"))
        tables.append("\n".join(rows) + "\n")
    return tables


def _row(found: dict[str, Any], amount: str, method: str, title: str) -> str:
    seeds = found.get(amount, {}).get(method, {})
    if not seeds:
        return f"| {title.format('')} | not measured |  |  |  |"
    dense = found.get("chips-100", {}).get("supervised", {})
    shares = [
        f"{one['iou'] / dense[seed]['iou']:.0%}" if seed in dense else ""
        for seed, one in seeds.items()
    ]
    columns = [
        ", ".join(f"{one[key]:.3f}" for one in seeds.values())
        for key in ("iou", "precision", "recall")
    ]
    columns.insert(1, ", ".join(filter(None, shares)))
    pixels = next(iter(seeds.values()))["labelled_pixels"]
    return f"| {title.format(f'{pixels:,}')} | {' | '.join(columns)} |"
