"""The tables of `make bench-zoo`."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, get_args

from floodloom.learning.losses import LOSSES
from floodloom.models.choices import UpsamplingName

Row = dict[str, Any]

VARIANTS: dict[str, tuple[str, ...]] = {
    "upsampling": get_args(UpsamplingName),
    "losses": LOSSES.names,
}
"""What U-Net is trained with in turn, all else being as for every architecture."""

PUBLISHED_SIZES: dict[str, Row] = {
    "unet": {"width": 64, "upsampling": "transposed"},
    "deeplabv3plus": {"encoder": "xception"},
    "fcn8": {"encoder": "vgg16"},
    "fcn32": {"encoder": "alexnet"},
    "unetplusplus": {"width": 32, "upsampling": "transposed", "deep_supervision": True},
    "linknet": {"encoder": "resnet18"},
    "segnet": {"width": 64},
    "deconvnet": {"width": 64, "window": 7, "hidden": 4096},
    "pspnet": {"encoder": "resnet50", "auxiliary": True},
    "hrnet": {"width": 48, "stem": 64, "blocks": 4, "modules": [1, 4, 3]},
    "hourglass": {"width": 64, "stacks": 8},
    "u2net": {"width": 64},
}
"""Arguments of the published networks; the literature orders the first three by speed."""
_ORDERED = ("deeplabv3plus", "unet", "fcn8")
_NOT_MEASURED = "not measured"


def zoo_tables(result: Row) -> list[str]:
    """Return the table of every architecture, and those of the longer trainings."""
    tables = []
    if "quick" in result:
        tables += [_quick(result["quick"], result.get("speed", {}))]
    tables += [_variants(part, result.get(part, {})) for part in VARIANTS]
    if "speed_of_published_sizes" in result:
        tables += [_published(result["speed_of_published_sizes"])]
    for part, where in {
        "full": "the 70 official test chips, whose events are trained on, too",
        "long": "the 70 official test chips",
        "events": "events that were not trained on, one fold after the other",
    }.items():
        if part in result:
            tables += [_longer(result[part], where)]
    return tables


def _quick(quick: Row, speed: Row) -> str:
    first = next(iter(quick.values()))
    rows = [
        f"Every architecture: one seed, {first['chips'][0]} training chips, {first['epochs']} "
        f"epochs, {first['chips'][2]} test chips of Sentinel-1 before and after; `tta` is the mean "
        "of the eight symmetries.\n",
        "| architecture | parameters | flood IoU | with tta | mean-of-chip macro Jaccard | "
        "training, Mpx/s | inference, Mpx/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(quick.items(), key=lambda item: -item[1]["iou"]):
        rates = speed.get(name, {})
        cells = [
            f"{rates[key]:.2f}" if key in rates else _NOT_MEASURED
            for key in ("training_mpx_per_s", "inference_mpx_per_s")
        ]
        rows.append(
            f"| {name} | {row['parameters']} | {row['iou']:.3f} | {row['tta']['iou']:.3f} | "
            f"{row['macro_jaccard']:.3f} | {' | '.join(cells)} |"
        )
    return "\n".join(rows) + "\n"


def _published(speed: Row) -> str:
    order = sorted(speed, key=lambda name: speed[name]["inference_mpx_per_s"])
    claimed = [name for name in order if name in _ORDERED]
    rows = [
        "At the size that was published, slowest first, where the literature has it that DeepLabV3 "
        f"takes longer to infer than U-Net, and U-Net than FCN. Here: {', '.join(claimed)}.\n",
        "| architecture | parameters | training, Mpx/s | inference, Mpx/s |",
        "|---|---|---|---|",
    ]
    for name in order:
        row = speed[name]
        rows.append(
            f"| {_with_arguments(name, row['arguments'])} | {row['parameters']} | "
            f"{row['training_mpx_per_s']:.2f} | {row['inference_mpx_per_s']:.2f} |"
        )
    for name in (name for name in PUBLISHED_SIZES if name not in speed):
        cells = " | ".join([_NOT_MEASURED] * 3)
        rows.append(f"| {_with_arguments(name, PUBLISHED_SIZES[name])} | {cells} |")
    return "\n".join(rows) + "\n"


def _with_arguments(name: str, arguments: Row) -> str:
    return ", ".join([name, *(f"{key} {value}" for key, value in arguments.items())])


def _variants(part: str, taken: Row) -> str:
    """Return the table of U-Net with each kind of upsampling, or each loss."""
    what = {"upsampling": "kind of upsampling", "losses": "loss"}[part]
    rows = [
        f"U-Net with each {what}, trained as every architecture above.\n",
        f"| {what} | parameters | flood IoU | with tta | mean-of-chip macro Jaccard |",
        "|---|---|---|---|---|",
    ]
    for name in VARIANTS[part]:
        cells = [_NOT_MEASURED] * 4
        if name in taken:
            row = taken[name]
            scores = (row["iou"], row["tta"]["iou"], row["macro_jaccard"])
            cells = [str(row["parameters"]), *(f"{score:.3f}" for score in scores)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _longer(part: Row, where: str) -> str:
    taken_rows = [row for taken in part.values() for row in taken.values()]
    chips = sorted({row["chips"][0] for row in taken_rows})
    rows = [
        f"{' to '.join(map(str, dict.fromkeys((chips[0], chips[-1]))))} training chips, "
        f"{taken_rows[0]['epochs']} epochs, scored on {where}; mean ± "
        "standard deviation, and the counts of all trainings together.\n",
        "| architecture | trainings | flood IoU | with tta | together | macro Jaccard |",
        "|---|---|---|---|---|---|",
    ]
    for name, taken in part.items():
        found = list(taken.values())
        cells = [
            _spread([row["iou"] for row in found]),
            _spread([row["tta"]["iou"] for row in found]),
            f"{_together(found):.3f}",
            _spread([row["macro_jaccard"] for row in found]),
        ]
        rows.append(f"| {name} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _together(rows: list[Row]) -> float:
    """Return the IoU of class 1 of the summed confusion matrices (truth, prediction)."""
    hit = sum(row["confusion"][1][1] for row in rows)
    return float(hit / (hit + sum(r["confusion"][0][1] + r["confusion"][1][0] for r in rows)))


def _spread(values: list[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
