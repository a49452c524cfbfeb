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
    return [
        "On the four labelled chips of STAC Overflow, 512 × 512 px each, of which one is dry; "
        "nothing was fitted to them but the last rows, single thresholds for all chips that were "
        "chosen on them. Pixels count as water from 50 percent on.\n",
        "\n".join(lines) + "\n",
        *(_methods(result) if "methods" in result else []),
    ]


def _methods(result: dict[str, Any]) -> list[str]:
    """Return what every method scores and takes, and how the sliding window was trained."""
    methods = dict(result["methods"])
    side, window = methods.pop("side"), result.get("sliding_window")
    sets = ("simulator", "etci2021", "stac-overflow")
    rows = [
        "| method | simulator IoU, F1 | ETCI IoU, F1 | STAC IoU, F1 | Mpx/s of one processor | "
        "once, s | peak memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in sorted(methods.items()):
        scores = [f"{one[s]['iou']:.3f}, {one[s]['f1']:.3f}" if s in one else "" for s in sets]
        cells = [
            *scores,
            f"{one['mpx_per_s']:.2f}",
            f"{one['first_seconds']:.1f}",
            f"{one['peak_mib']:.0f}",
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return [
        "Every method by its defaults, VV and VH: 16 simulated chips of 256 px whose seeds none "
        "was trained on, the upper left 2048 px of the labelled scene of ETCI 2021, display "
        "values, and the four chips of STAC Overflow; all pixels of a set together. Time and "
        f"memory are those of a simulated scene of {side} × {side} px, from the store to the "
        "GeoTIFF, after a scene of 256 px that takes what is only done once, such as the training "
        f"of a forest.{_training(window)}\n",
        "\n".join(rows) + "\n",
    ]


def _training(window: dict[str, int] | None) -> str:
    if window is None:
        return ""
    return (
        f" The sliding window, a network of width {window['width']} that classifies a window for "
        f"each pixel, was trained before, in {window['epochs']} passes over {window['chips']} "
        f"simulated chips of {window['side']} px."
    )
