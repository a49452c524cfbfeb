"""The tables of `make bench-auto`."""

from __future__ import annotations

from typing import Any


def auto_tables(result: dict[str, Any]) -> list[str]:
    """Return what `auto` chooses and what is fastest, in training and in prediction."""
    parts = {"training step": result["training"]}
    parts |= {f"window in {p}": rows for p, rows in result["prediction"].items()}
    lines = [
        "| | network | `auto` | processor ms | fastest | processor ms | `auto` costs |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, rows in parts.items():
        for network, row in rows.items():
            seconds = row["seconds"]
            fastest = min(seconds, key=seconds.__getitem__)
            taken, least = seconds[row["auto"]], seconds[fastest]
            lines.append(
                f"| {part} | {network} | {row['auto']} | {1000 * taken:.0f} | {fastest} | "
                f"{1000 * least:.0f} | {taken / least - 1:.0%} |"
            )
    return [
        "`auto` is decided by the processor's instructions, by what is installed and by the size "
        "of network and scene, so that two runs agree; this is what it costs against the fastest "
        "choice, on one thread (back ends: for scenes of more than 300 Mpx).\n",
        "\n".join(lines) + "\n",
    ]
