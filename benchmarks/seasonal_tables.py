"""The table of `make bench-seasonal`."""

from __future__ import annotations

from typing import Any

_COLUMNS = ("water_as_flood", "flood_recall", "flood_excluded")


def seasonal_tables(result: dict[str, Any]) -> list[str]:
    """Return what becomes of water and flood by the number of dates before it."""
    rows = [
        f"{result['places']} simulated places of {result['size']} px. Water maps of each date by a "
        f"classifier that was fitted on the place itself, or on {result['training_places']} "
        "others, or by the default model. Of permanent and seasonal water the share that is called "
        "flood; of the flood that darkens the backscatter by 3 dB the shares that are found, and "
        "excluded.\n",
        "| mapped by, or fitted on | dates before | `minimum_z_score` | water called flood | "
        "flood found | flood excluded |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        limit = row["minimum_z_score"]
        shares = " | ".join(f"{100 * row[name]:.1f} %" for name in _COLUMNS)
        shown = "" if limit is None else f"{limit:g}"
        rows.append(f"| {row['fitted']} | {row['dates']} | {shown} | {shares} |")
    return ["\n".join(rows) + "\n"]
