"""The tables of `make bench-maps`."""

from __future__ import annotations

from typing import Any

_SCENES = {"simulator": "simulator", "stac-overflow": "STAC Overflow"}
_SCORES = {
    "iou": "IoU",
    "accuracy": "accuracy",
    "f1": "Fβ, β = 1",
    "f2": "Fβ, β = 2",
    "weighted_f1": "weighted Fβ, β = 1, mean of chips",
    "mean_absolute_error": "mean absolute error",
    "structure_measure": "S-measure, mean of chips",
    "alignment_measure": "E-measure, mean of chips",
    "boundary_f1": "boundary F1",
    "calibration_error": "calibration error",
}


def maps_tables(result: dict[str, Any]) -> list[str]:
    """Return the scores of the maps, and what each way of cleaning them changes."""
    return [_scores(result), _cleanings(result["cleanings"])]


def _scores(result: dict[str, Any]) -> str:
    columns = [(s, method) for s, methods in result["scores"].items() for method in methods]
    found = [result["scores"][scenes][method] for scenes, method in columns]
    rows = [
        f"Maps of {result['chips']} simulated chips of {result['side']} px with a flood, mapped by "
        "the default model with the date before, and of the four chips of STAC Overflow, scored "
        "by `floodloom evaluate`: what each score is of the same maps. Without calibration the "
        "networks' own probabilities are averaged (`predict.calibrate: false`). Objects are "
        "patches of 8-connected pixels, a pair where their IoU exceeds a half.\n",
        f"| score | {' | '.join(f'{_SCENES[s]}: {method}' for s, method in columns)} |",
        "|---|" + "---|" * len(columns),
    ]
    for key, title in _SCORES.items():
        rows.append(f"| {title} | {' | '.join(f'{one[key]:.3f}' for one in found)} |")
    counts = [
        " / ".join(f"{one['objects'][key]:,}" for key in ("found", "missed", "made_up"))
        for one in found
    ]
    rows.append(f"| objects found / missed / made up | {' | '.join(counts)} |")
    return "\n".join(rows) + "\n"


def _cleanings(cleanings: dict[str, Any]) -> str:
    names = list(dict.fromkeys(name for rows in cleanings.values() for name in rows))
    titles = ("IoU", "over none, points", "flood changed", "processor s per Mpx")
    heads = [f"{_SCENES[scenes]}: {title}" for scenes in cleanings for title in titles]
    rows = [
        "The default model's probabilities of the same chips, delineated in each way with no other "
        "cleaning: IoU of the flood, its difference from none, the pixels that are flood in one "
        "map alone over the flood without cleaning, and the processor seconds of the whole stage, "
        "whose writing and start count. STAC Overflow has no date before, to which backscatter "
        "could have changed.\n",
        f"| cleaning | {' | '.join(heads)} |",
        "|---|" + "---|" * len(heads),
    ]
    for name in names:
        cells = [cell for taken in cleanings.values() for cell in _cells(name, taken)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _cells(name: str, taken: dict[str, dict[str, float]]) -> list[str]:
    if name not in taken:
        return ["", "", "", ""]
    row, none = taken[name], next(iter(taken.values()))
    return [
        f"{row['iou']:.3f}",
        f"{100 * (row['iou'] - none['iou']):+.1f}",
        f"{row['changed']:.1%}",
        f"{row['seconds_per_mpx']:.2f}",
    ]
