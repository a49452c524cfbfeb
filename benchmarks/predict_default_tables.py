"""The tables of `make bench-predict_default`."""

from __future__ import annotations

from typing import Any


def predict_default_tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of speed and of memory by width, as far as they are taken."""
    tables = [_speed_table(result)] if "speed" in result else []
    return [*tables, _widths_table(result)] if "widths" in result else tables


def _speed_table(result: dict[str, Any]) -> str:
    speed, rows = result["speed"], []
    for precision in ("auto", "float32", "int8"):
        row = speed[precision]
        changed = f"{100 * row['changed']:.3f}" if "changed" in row else ""
        rate, each = row["megapixels"] / row["seconds"], row["cpu_seconds"] / row["megapixels"]
        rows.append(
            f"| {precision}: {row['backend']} {row['precision']}, windows "
            f"{' × '.join(map(str, row['windows']))} | {rate:.2f} | {each:.3f} | "
            f"{row['peak_mib']:.0f} | {changed} |"
        )
    costs = [speed[name]["cpu_seconds_per_megapixel"] for name in ("likelihood", "likelihood_land")]
    return (
        f"The model that floodloom brings on a scene of {result['side']} × {result['side']} px, no "
        f"scene before it, {result['threads']} threads: the stage `predict`, from the Zarr store "
        "to the GeoTIFF, with loading and choosing.\n\n"
        "| precision | Mpx/s | processor seconds per Mpx | peak memory, MiB | "
        "classes that differ from float32, % |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nA local likelihood adds {costs[0]:.3f} processor seconds per Mpx where every "
        f"window holds water, and {costs[1]:.3f} where the upper eighth of the scene does.\n"
    )


def _widths_table(result: dict[str, Any]) -> str:
    names = [f"{width} px" for width in result["widths"][0]["peak_mib"]]
    rows = [
        f"Peak memory, MiB, by the width of a scene of {result['rows']} rows:\n",
        "| back end | precision | " + " | ".join(names) + " | widest / narrowest |",
        "|---|---|" + "---|" * len(names) + "---|",
    ]
    for row in result["widths"]:
        peaks = list(row["peak_mib"].values())
        cells = " | ".join(f"{peak:.0f}" for peak in peaks)
        rows.append(
            f"| {row['backend']} | {row['precision']} | {cells} | {peaks[-1] / peaks[0]:.2f} |"
        )
    return "\n".join(rows) + "\n"
