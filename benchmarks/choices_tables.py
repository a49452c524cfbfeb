"""The tables of `make bench-choices`."""

from __future__ import annotations

from statistics import mean
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A choice: its title, and the trainings without it and with it."""

    title: str
    without: str
    chosen: str


OF_CHIPS = (
    Row("random, class-balanced patches", "plain", "random, class-balanced patches"),
    Row("class-balanced draws", "plain", "class-balanced draws"),
    Row("the eight symmetries", "no symmetries", "plain"),
    Row("gamma speckle of 4.4 looks", "plain", "gamma speckle of 4.4 looks"),
    Row("offset of 1 dB", "plain", "offset of 1 dB"),
    Row("band lost, 10 %", "plain", "band lost, 10 %"),
    Row(
        "band lost, 10 %, VH lost in the test",
        "plain, VH lost in the test",
        "band lost, 10 %, VH lost in the test",
    ),
    Row("CutMix", "plain", "CutMix"),
    Row("skips, added instead of concatenated", "plain", "skips, added"),
    Row("FCN-8s, transposed 4 × 4 instead of bilinear", "FCN-8s", "FCN-8s, transposed 4 x 4"),
    Row("encoder ResNet-34 instead of its own", "plain", "encoder resnet34"),
    Row("encoder MobileNetV2 instead of its own", "plain", "encoder mobilenet_v2"),
    Row("ImageNet weights for ResNet-18", "encoder resnet18", "encoder resnet18, ImageNet weights"),
    Row("points instead of dense labels", "plain", "points"),
    Row("lines instead of dense labels", "plain", "lines"),
    Row("polygons instead of dense labels", "plain", "polygons"),
    Row(
        "image-level instead of the image's label for each pixel",
        "label of the image for each pixel",
        "image-level",
    ),
    Row("pretrained, mask-contrast, few labels", "few labels", "pretrained, mask-contrast"),
    Row("ramp in UniMatch's strong views, few labels", "UniMatch, no ramp", "UniMatch, ramp"),
)
OF_STAC = (
    Row(
        "transfer from simulated chips, few labels of STAC Overflow",
        "few labels of STAC Overflow",
        "the same, from simulated chips",
    ),
)
OF_PAIRS = (
    Row("preset garg", "pairs, U-Net without a teacher", "preset garg"),
    Row("preset zhu", "pairs, U-Net without a teacher", "preset zhu"),
    Row("preset hfd-net", "pairs, HFD-Net without a teacher", "preset hfd-net"),
    Row("combine, a whole scene", "radar alone, a scene", "radar and optical, combined"),
)


_SEEDS = 3
"""Seeds that it takes to tell whether a choice pays."""


def choices_tables(result: dict[str, Any]) -> list[str]:
    """Return the IoU with each choice beside that without it, and whether it pays."""
    iou = result["iou"]
    return [
        "Short trainings, of which only what is compared differs: pooled IoU of water on chips of "
        "other seeds, mean of the seeds and each. A choice pays where it gains in every one of "
        "three seeds; a seed whose round of relabelling was refused has no figure. What takes a "
        "longer training or more data to pay doesn't show here. What isn't measured has no row.\n",
        *(
            _table(title, [row for row in rows if _both(row, iou)], iou)
            for title, rows in (
                ("simulated chips", OF_CHIPS),
                ("real chips", OF_STAC),
                ("simulated pairs", OF_PAIRS),
            )
            if any(_both(row, iou) for row in rows)
        ),
    ]


def _both(row: Row, iou: dict[str, dict[str, float]]) -> list[str]:
    """Return the seeds that a row has with the choice and without it."""
    without = iou.get(row.without, {})
    return [seed for seed in iou.get(row.chosen, {}) if seed in without]


def _table(title: str, rows: list[Row], iou: dict[str, dict[str, float]]) -> str:
    lines = [f"| {title} | IoU without | IoU with | points | pays |", "|---|---|---|---|---|"]
    for row in rows:
        without, chosen, both = iou[row.without], iou[row.chosen], _both(row, iou)
        gains = [chosen[seed] - without[seed] for seed in both]
        cells = [_cell(without, both), _cell(chosen, both)]
        lines.append(
            f"| {row.title} | {' | '.join(cells)} | {100 * mean(gains):+.1f} | {_verdict(gains)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(scores: dict[str, float], seeds: list[str]) -> str:
    each = ", ".join(f"{scores[seed]:.3f}" for seed in seeds)
    return f"{mean(scores[seed] for seed in seeds):.3f} ({each})"


def _verdict(gains: list[float]) -> str:
    gained = sum(gain > 0 for gain in gains)
    if len(gains) == 1:
        return f"{'yes' if gained else 'no'}, by one seed"
    if gained in (0, len(gains)) and len(gains) >= _SEEDS:
        return "yes" if gained else "no"
    return f"in {gained} of {len(gains)} seeds"
