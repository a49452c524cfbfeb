"""The tables of `make bench-baselines`."""

from __future__ import annotations

from typing import Any


def baselines_tables(result: dict[str, Any]) -> list[str]:
    """Return what baselines score on the real chips, and what they take."""
    lines = [
        "| baseline | bands | pooled IoU | precision | recall | mean of chips, IoU | "
        "calibration error | water on the dry chip |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, by_bands in result["scores"].items():
        for bands, scores in by_bands.items():
            keys = ("pooled_iou", "precision", "recall", "mean_of_chip_iou")
            cells = [f"{scores[key]:.3f}" for key in keys]
            cells.append(f"{scores['expected_calibration_error']:.3f}")
            cells.append(f"{scores['water_called_on_dry_chip']:.2%}")
            lines.append(f"| {name} | {bands.replace('_', ' ')} | {' | '.join(cells)} |")
    for band, best in result["best_thresholds"].items():
        lines.append(
            f"| best threshold in hindsight, {best['threshold_db']:g} dB | {band} | "
            f"{best['pooled_iou']:.3f} |  |  |  |  |  |"
        )
    cost = dict(result["cost"])
    side = cost.pop("side")
    rows = ["| baseline | processor seconds | peak memory, MiB |", "|---|---|---|"]
    rows += [
        f"| {name} | {one['processor_seconds']:.1f} | {one['peak_mib']:.0f} |"
        for name, one in cost.items()
    ]
    return [
        "On the four labelled chips of STAC Overflow, 512 × 512 px each, of which one is dry; "
        "nothing was fitted to them but the last rows, single thresholds for all chips that were "
        "chosen on them. Pixels count as water from 50 percent on.\n",
        "\n".join(lines) + "\n",
        f"A simulated scene of {side} × {side} px and two bands, from the store to the GeoTIFF.\n",
        "\n".join(rows) + "\n",
    ]
