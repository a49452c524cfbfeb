"""The tables of `make bench-simulator`."""

from __future__ import annotations

from typing import Any

_BANDS = {"vv": "VV", "vh": "VH", "vv_vh": "VV - VH"}


def simulator_tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of backscatter by class, and of speckle and structure."""
    return [
        f"{result['chips']} simulated chips of {result['size']} px at 10 m in both polarisations; "
        "TerraMesh by its land cover, STAC Overflow (labelled water, dry) by its labels.\n",
        _classes(result["classes"]),
        _texture(result["texture"]),
    ]


def _classes(classes: dict[str, Any]) -> str:
    rows = [
        "| class | | real, 5 / 50 / 95 %, dB | simulated | distance, dB |",
        "|---|---|---|---|---|",
    ]
    for name, bands in classes.items():
        for key, title in _BANDS.items():
            band = bands[key]
            real, simulated = (_three(band[side]) for side in ("real", "simulated"))
            rows.append(f"| {name} | {title} | {real} | {simulated} | {band['distance_db']:.1f} |")
    return "\n".join(rows) + "\n"


def _three(quantiles: list[float]) -> str:
    return " / ".join(f"{quantiles[index]:.1f}" for index in (0, 2, 4))


def _texture(texture: dict[str, Any]) -> str:
    rows = [
        "Speckle of homogeneous windows (looks, spread in dB, correlation of log intensity at lags "
        "of 1 to 3 px), and the spread of means of blocks of 4, 16 and 64 px (dB), by chip.\n",
        "| statistic | simulated, 5 / 50 / 95 % of chips | real, lowest / middle / highest | "
        "real chips within |",
        "|---|---|---|---|",
    ]
    for name, entry in texture.items():
        real = sorted(place["value"] for place in entry["real"].values())
        low, _, middle, _, high = entry["simulated"]
        within = sum(low <= value <= high for value in real)
        rows.append(
            f"| {name} | {low:.2f} / {middle:.2f} / {high:.2f} | "
            f"{real[0]:.2f} / {real[len(real) // 2]:.2f} / {real[-1]:.2f} | "
            f"{within} of {len(real)} |"
        )
    return "\n".join(rows) + "\n"
