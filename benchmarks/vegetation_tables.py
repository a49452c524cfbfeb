"""The table of `make bench-vegetation`."""

from __future__ import annotations

from typing import Any


def vegetation_tables(result: dict[str, Any]) -> list[str]:
    """Return the IoU of flood with and without flooded vegetation, and what is called so."""
    rows = [
        f"Simulated events of {result['size']} px by their seeds, mapped by `floodloom map`; "
        "simulated chips of 256 px, as far as they have two polarisations, whose weather and "
        "season differ between the dates; real tiles whose display values are taken for decibels, "
        "which floodloom itself doesn't do. Excluded flood counts as missed. Pixels that are "
        "called flooded vegetation, true and false.\n",
        "| maps | IoU before | IoU after | called, true | called, false | of pixels |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        scores = " | ".join(
            "" if row[key] is None else f"{row[key]:.3f}" for key in ("iou_before", "iou_after")
        )
        counts = " | ".join(f"{row[key]:,}" for key in ("true", "false", "pixels"))
        rows.append(f"| {row['of']} | {scores} | {counts} |")
    return ["\n".join(rows) + "\n"]
