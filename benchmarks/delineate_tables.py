"""The tables of `make bench-delineate`."""

from __future__ import annotations

from typing import Any


def delineate_tables(result: dict[str, Any]) -> list[str]:
    """Return what mapping and scoring a mosaic take, by its side."""
    lines = [
        "| stage | side, px | seconds | processor s | processor s per Mpx | peak, MiB | load |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        pixels = row["side"] ** 2 / 1e6
        lines.append(
            f"| `{row['stage']}` | {row['side']} | {row['seconds']:.0f} | "
            f"{row['processor_seconds']:.0f} | {row['processor_seconds'] / pixels:.2f} | "
            f"{row['peak_mib']:.0f} | {row['load_before']:.1f} |"
        )
    return [
        f"A mosaic after and one before a simulated flood, with flags, map, likelihood, polygons "
        f"and areas, slope and height above drainage excluded; then the map's scores. On "
        f"{result['threads']} threads; where the machine's load beforehand isn't 0, seconds are "
        "those beside other work.\n",
        "\n".join(lines) + "\n",
    ]
