"""The tables of `make bench-predict`."""

from __future__ import annotations

from statistics import median
from typing import Any

_KM2 = 100.0  # of a megapixel at 10 m
_RATE = "megapixels_per_second"


def predict_tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of the scene, of the back ends and of the sizes."""
    return [_introduction(result), _scene(result), _back_ends(result), _curve(result)]


def _introduction(result: dict[str, Any]) -> str:
    first = result["first"]
    installed = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['model']}, one member, no test-time augmentation, two polarisations, "
        f"{result['threads']} threads; {installed}. A rate counts the scene's pixels, not those "
        "that windows share. End to end is the stage `predict`, from the Zarr store to the "
        "GeoTIFF, with loading, choosing and compiling. What an installation compiles once was "
        f"compiled before: its first scene, of {first['side']}² px, took "
        f"{first['seconds']:.1f} s.\n"
    )


def _scene(result: dict[str, Any]) -> str:
    scene = result["scene"]
    turns, overlapping = scene["turns"], scene["plain_overlapping"]
    whole, plain = turns[0]["end_to_end"], turns[0]["plain"]
    chosen = f"{whole['backend']}, {whole['precision']}, windows {_windows(whole)}"
    base = median(turn["plain"][_RATE] for turn in turns)
    rows = [
        f"A scene of {scene['side']} × {scene['side']} px, medians of {len(turns)} turns:\n",
        "| | Mpx/s | km²/s at 10 m | times the plain loop | peak memory, MiB |",
        "|---|---|---|---|---|",
        _in_turn("plain loop over 512 px tiles, float32, with seams", turns, "plain"),
        _rate("the same, tiles overlapping so that no seam shows, once", overlapping, base),
        _in_turn(f"end to end, as `auto` chooses: {chosen}", turns, "end_to_end"),
        _in_turn("its network alone, on windows in memory", turns, "network"),
        _in_turn("end to end in bfloat16", turns, "end_to_end_bfloat16"),
        _in_turn("its network alone, on windows in memory", turns, "network_bfloat16"),
        _gpu("end_to_end", "GPU, end to end, bfloat16", result["gpu"], base),
        _gpu("network", "GPU, network alone, bfloat16", result["gpu"], base),
    ]
    return "\n".join(rows) + (
        f"\n\nEnd to end reaches {_share(turns, '')} of the network's own rate of the same turn, "
        f"in bfloat16 {_share(turns, '_bfloat16')}. The plain loops ran on "
        f"{plain['tiles']} and {overlapping['tiles']} tiles, {100 * plain['share_of_scene']:.0f} "
        f"and {100 * overlapping['share_of_scene']:.0f} % of the scene.\n"
    )


def _share(turns: list[dict[str, Any]], which: str) -> str:
    shares = [turn[f"end_to_end{which}"][_RATE] / turn[f"network{which}"][_RATE] for turn in turns]
    return f"{median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"


def _in_turn(what: str, turns: list[dict[str, Any]], step: str) -> str:
    """Return the row of what every turn took; how many times the plain loop, in the same turn."""
    rate = median(turn[step][_RATE] for turn in turns)
    times = median(turn[step][_RATE] / turn["plain"][_RATE] for turn in turns)
    peaks = [turn[step]["peak_mib"] for turn in turns if "peak_mib" in turn[step]]
    peak = f"{max(peaks):.0f}" if peaks else ""
    return f"| {what} | {rate:.2f} | {rate * _KM2:.0f} | {times:.2f} | {peak} |"


def _rate(what: str, figures: dict[str, Any], base: float) -> str:
    rate = figures[_RATE]
    peak = f"{figures['peak_mib']:.0f}" if "peak_mib" in figures else ""
    return f"| {what} | {rate:.2f} | {rate * _KM2:.0f} | {rate / base:.2f} | {peak} |"


def _gpu(step: str, what: str, gpu: dict[str, Any] | None, base: float) -> str:
    if gpu is None:
        return f"| {what} | not measured | not measured | not measured | |"
    return _rate(f"{what}, {gpu['device']}", gpu[step], base)


def _back_ends(result: dict[str, Any]) -> str:
    side = result["back_ends"][0]["side"]
    rows = [
        f"Back ends on a scene of {side} × {side} px:\n",
        "| back end | precision | windows | end to end, Mpx/s | network alone, Mpx/s | "
        "peak memory, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["back_ends"]:
        whole, network = row["end_to_end"], row["network"]
        rows.append(
            f"| {whole['backend']} | {whole['precision']} | {_windows(whole)} | "
            f"{whole[_RATE]:.2f} | {network[_RATE]:.2f} | "
            f"{whole['peak_mib']:.0f} |"
        )
    return "\n".join(rows) + "\n"


def _curve(result: dict[str, Any]) -> str:
    rows = [
        f"Size of the scene, {result['curve'][0]['backend']}, {result['curve'][0]['precision']}:\n",
        "| side, px | seconds | seconds per Mpx | peak memory, MiB |",
        "|---|---|---|---|",
    ]
    for point in result["curve"]:
        each = 1 / point[_RATE]
        rows.append(
            f"| {point['side']} | {point['seconds']:.1f} | {each:.3f} | {point['peak_mib']:.0f} |"
        )
    return "\n".join(rows) + "\n"


def _windows(figures: dict[str, Any]) -> str:
    return " × ".join(str(side) for side in figures["windows"])
