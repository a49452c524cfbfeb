"""The tables of `make bench-sentinel1`."""

from __future__ import annotations

from typing import Any

_STEPS = {
    "decode_and_write": "decode the TIFFs, write the same pixels in the same layout",
    "calibrate": "calibrate, noise removed",
    "geocode": "geocode to 10 m",
    "calibrate_beta0": "calibrate to beta0",
    "geocode_flattened": "geocode with flattening",
}


def sentinel1_tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of the whole way, of the curve and of the neighbours."""
    return [_introduction(result), _whole(result), _curve(result), _beside(result)]


def _introduction(result: dict[str, Any]) -> str:
    return (
        f"Both polarisations of {result['product'].removesuffix('.zip')} with semi-synthetic "
        f"measurements ({result['megapixels_of_image']:.0f} Mpx), onto a map of "
        f"{result['megapixels_of_map']:.0f} Mpx at 10 m, {result['workers']} workers. The first "
        f"two steps are the medians of {len(result['turns'])} runs in turn.\n"
    )


def _whole(result: dict[str, Any]) -> str:
    base = result["whole"]["decode_and_write"]
    rows = [
        "| step | seconds | times decode and write | processor seconds | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for name, what in _STEPS.items():
        step = result["whole"][name]
        ratio = step["seconds"] / base["seconds"]
        rows.append(
            f"| {what} | {step['seconds']:.1f} | {ratio:.2f} | {step['cpu_seconds']:.1f} | "
            f"{step['peak_mib']:.0f} |"
        )
    way = [result["whole"][name]["seconds"] for name in ("calibrate", "geocode")]
    rows.append(
        f"| from the SAFE to the map | {sum(way):.1f} | {sum(way) / base['seconds']:.2f} | | |"
    )
    return "\n".join(rows) + "\n"


def _curve(result: dict[str, Any]) -> str:
    rows = ["| map, Mpx | seconds | processor seconds per Mpx |", "|---|---|---|"]
    for point in result["curve"]:
        each = point["cpu_seconds"] / point["megapixels"]
        rows.append(f"| {point['megapixels']:.0f} | {point['seconds']:.1f} | {each:.3f} |")
    return "\n".join(rows) + "\n"


def _beside(result: dict[str, Any]) -> str:
    side = result["side_by_side"]
    rows = [
        "Side by side on one elevation raster, one polarisation; floodloom's step gives angles, "
        "layover and shadow as well, and starts from its calibrated store. Of floodloom's runs the "
        "median is shown. Seconds are without the start of Python and the imports, which stand in "
        "a column of their own.\n",
        "| step | map, Mpx | seconds | start, seconds | Mpx/s | times sarsen | peak memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, what in (("gtc", "geocode"), ("rtc", "geocode with flattening")):
        for pixels, pair in sorted(side[kind].items(), key=lambda item: int(item[0])):
            rows += [_row(who, what, int(pixels), pair) for who in ("sarsen", "floodloom")]
    block = side["xarray_sentinel_calibrate"]
    rows.append(
        f"| xarray-sentinel, calibrate a block, noise left in | "
        f"{side['xarray_sentinel_megapixels']:.0f} | {block['seconds']:.1f} | | "
        f"{side['xarray_sentinel_megapixels'] / block['seconds']:.2f} | | {block['peak_mib']:.0f} |"
    )
    apart = side["apart"]
    rows.append(
        f"\nPlaces of sarsen and floodloom on the same elevations: {apart['median_px']:.5f} px "
        f"apart in the median, {apart['largest_px']:.4f} px at most (the two fit the orbit by "
        "polynomials over different spans of state vectors)."
    )
    return "\n".join(rows) + "\n"


def _row(who: str, what: str, side: int, pair: dict[str, Any]) -> str:
    step, megapixels = pair[who], side**2 / 1e6
    whole = step.get("seconds_with_start")  # of figures taken before, only the step is known
    start = "" if whole is None else f"{whole - step['seconds']:.1f}"
    return (
        f"| {who}, {what} | {megapixels:.0f} | {step['seconds']:.1f} | {start} | "
        f"{megapixels / step['seconds']:.2f} | "
        f"{pair['sarsen']['seconds'] / step['seconds']:.1f} | {step['peak_mib']:.0f} |"
    )
