"""The tables of `make default-model`, which docs/model-card.md shows, too."""

from __future__ import annotations

from typing import Any

_BANDS = {"vv_and_vh": "VV and VH", "vv": "VV alone"}


def default_model_tables(result: dict[str, Any]) -> list[str]:
    """Return what the default model scores on real chips, beside baselines and thresholds."""
    return [_chips(result), _by_chip(result), _pairs(result)]


def _chips(result: dict[str, Any]) -> str:
    rows = [
        "Water on the four labelled chips of STAC Overflow, 512 × 512 px, never trained on. The "
        "thresholds were chosen on these very chips. Each chip's own classifier is a Gaussian one "
        "that was trained on the labels of one half of the chip's squares of 64 px and mapped the "
        "other: about what is separable at all.\n",
        "| | pooled IoU | mean of chips | precision | recall | calibration error | water called on "
        "the dry chip |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [_row(f"default model, {title}", result[key]) for key, title in _BANDS.items()]
    for name, by_bands in result.get("baselines", {}).items():
        rows.append(_row(f"baseline {name}, VV and VH", by_bands["vv_and_vh"]))
    for band, best in result["best_thresholds"].items():
        rows.append(
            f"| best threshold in hindsight, {band.upper()} {best['threshold_db']:g} dB | "
            f"{best['pooled_iou']:.3f} |  |  |  |  |  |"
        )
    for key, title in _BANDS.items():
        own = result["separability"][key]["pooled_iou"]
        rows.append(f"| each chip's own classifier, {title} | {own:.3f} |  |  |  |  |  |")
    return "\n".join(rows) + "\n"


def _row(title: str, scores: dict[str, Any]) -> str:
    keys = ("pooled_iou", "mean_of_chip_iou", "precision", "recall", "expected_calibration_error")
    cells = " | ".join(f"{scores[key]:.3f}" for key in keys)
    return f"| {title} | {cells} | {scores['water_called_on_dry_chip']:.2%} |"


def _by_chip(result: dict[str, Any]) -> str:
    chips, own = result["vv_and_vh"]["by_chip"], result["separability"]
    rows = ["| IoU by chip | " + " | ".join(chips) + " |", "|---|" + "---|" * len(chips)]
    for key, title in _BANDS.items():
        for what, scores in ((title, result[key]), (f"own classifier, {title}", own[key])):
            cells = [f"{scores['by_chip'][chip]:.3f}" for chip in chips]
            rows.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _pairs(result: dict[str, Any]) -> str:
    pairs, thresholds = result["two_dates"], result["two_dates_thresholds"]
    rows = [
        "Flood on the three tiles of Copernicus EMS activation 763, 8-bit display values before "
        "and after, never trained on.\n",
        "| | pooled IoU |",
        "|---|---|",
        f"| default model, both dates at once | {pairs['both_dates_at_once']:.3f} |",
        f"| default model, each date alone | {pairs['each_date_alone']:.3f} |",
    ]
    rows.append(f"| baseline change | {result['two_dates_change_baseline']:.3f} |")
    for kind, best in thresholds.items():
        what = f"{kind.replace('_', ' ')}, {best['of']}"
        rows.append(f"| best threshold in hindsight, {what} | {best['pooled_iou']:.3f} |")
    return "\n".join(rows) + "\n"
