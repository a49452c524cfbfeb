"""The tables of `benchmarks.distill`."""

from __future__ import annotations

from statistics import mean
from typing import Any


def distill_tables(result: dict[str, Any]) -> list[str]:
    """Return the scores on OMBRIA, what was published, and the curves on simulated pairs."""
    seeds: dict[str, dict[str, float]] = result["seeds"]
    names = list(dict.fromkeys(name for scores in seeds.values() for name in scores))
    rows = [
        "| trained | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | over plain |",
        "|---|" + "---|" * (len(seeds) + 2),
    ]
    for name in names:
        taken = [scores for scores in seeds.values() if name in scores]
        over = mean(scores[name] - scores["plain"] for scores in taken)
        cells = [f"{scores[name]:.3f}" if name in scores else "" for scores in seeds.values()]
        cells.append(f"{mean(scores[name] for scores in taken):.3f}")
        title = f"**{name}** (default)" if name == result["default"] else name
        rows.append(f"| {title} | {' | '.join(cells)} | {100 * over:+.1f} points |")
    claims = [
        f"- {source}: {100 * gain:+.1f} points" for source, gain in result["literature"].items()
    ]
    epochs, times = result["budget"]["epochs"], result["budget"]["teacher_times"]
    shrink = result["budget"]["shrink"]
    size = f", averaged over {shrink} by {shrink} px" if shrink > 1 else ""
    one_in = result["budget"]["labelled_run"]
    few = (
        f" One training chip in {one_in} has its label; of the others, those with an optical image "
        "teach without (`unlabelled`). Epochs are passes over all training chips, or as many steps "
        "on fewer."
    )
    return [
        f"Pooled flood IoU on OMBRIA's 70 test chips{size}, "
        f"radar alone unless the name states otherwise.{few if one_in > 1 else ''} "
        f"The teacher is trained {epochs * times} epochs, every student {epochs}; `plain_as_long` "
        f"and `logit_as_long` are students after {epochs * (times + 1)}.\n",
        "\n".join(rows) + "\n",
        "Gains published on other data:\n",
        "\n".join(claims) + "\n",
        *(_curve_table(name, points) for name, points in result["curves"].items()),
    ]


def _curve_table(name: str, taken: dict[str, list[dict[str, float]]]) -> str:
    """Return the means over the seeds, and the least gain of any of them."""
    rows = [
        f"| simulated pairs, {name} | plain IoU | as long | distilled | gain, points | least |",
        "|---|---|---|---|---|---|",
    ]
    for points in zip(*taken.values(), strict=True):
        plain, as_long, distilled = (
            mean(point[key] for point in points) for key in ("plain", "plain_as_long", "distilled")
        )
        least = min(point["distilled"] - point["plain"] for point in points)
        rows.append(
            f"| {points[0]['at']:g} | {plain:.3f} | {as_long:.3f} | {distilled:.3f} "
            f"| {100 * (distilled - plain):+.1f} | {100 * least:+.1f} |"
        )
    return "\n".join(rows) + f"\n\nSeeds {', '.join(taken)}.\n"
