"""Terrain-corrected GeoTIFF products of others: which files belong together and what they hold.

Everything follows from the file names that the producers document.

Sources: ASF, Sentinel-1 RTC Product Guide (HyP3, GAMMA), tables 3 and 4 and the product's README;
NASA JPL, OPERA RTC-S1 Product Specification, JPL D-108758; Microsoft Planetary Computer, collection
sentinel-1-rtc; pyroSAR, file naming scheme.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.recipe import Flag, Quantity

if TYPE_CHECKING:  # names of products are read in every dry run, without the libraries of rasters
    from floodloom.sentinel1.rtc import Scale

_POLARISATION = r"(?P<polarisation>VV|VH|HH|HV)"
_TIME = r"(?P<time>\d{8}T\d{6})"
_GRANULE = re.compile(
    rf"(?P<platform>S1[A-Z])_(?P<mode>IW|EW|S[1-6])_(?P<level>GRD|SLC)[HMF_]_1S[SD][HV]_{_TIME}"
    r"_\d{8}T\d{6}"
    r"_(?P<orbit>\d{6})_"
)
_HEAD = 1 << 20  # bytes
_FIRST_ORBIT = {"S1A": 73, "S1B": 27}
_RTC = {"product_type": "RTC"}
_DIRECTIONS = {"A": "ascending", "D": "descending"}


@dataclass(frozen=True)
class RtcProduct:
    """Files of a product and what their numbers mean.

    `bands` maps polarisations, co-polarised first, to their files. Values equal to `nodata` or to
    a file's own are no data. `within` is the folder in which they were found, if that was given;
    links may not lead out of it. `mask` is a file whose bits `mask_bits` names and in which
    `mask_fill` is no data. `angles` maps variables to files in which 1 is `angle_unit` degrees.
    """

    title: str
    bands: Mapping[str, Path]
    scale: Scale = "power"
    nodata: float = float("nan")
    quantity: Quantity = "gamma0"
    flattened: bool = True
    speckle_filter: str = "none"
    mask: Path | None = None
    mask_bits: Mapping[int, Flag] = field(default_factory=dict)
    mask_fill: int | None = None
    angles: Mapping[str, Path] = field(default_factory=dict)
    angle_unit: float = 1.0
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    within: Path | None = None


Bands = dict[str, Path]
Reader = Callable[[re.Match[str], Bands], RtcProduct]


def find_rtc(path: Path) -> RtcProduct:
    """Find a product in a folder, or the one to which a file belongs.

    Parameters
    ----------
    path
        Folder of the product, or the file of one of its polarisations.

    Returns
    -------
    RtcProduct

    Raises
    ------
    InputError
        If there is no product of a known kind, or more than one.
    """
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    found = list(candidates(path))
    if not found:
        raise InputError(
            f"{path}: no terrain-corrected product of a known kind; give the folder or a file of "
            f"{', '.join(title for title, *_ in _CONVENTIONS)}, under its own name"
        )
    if len(found) > 1:
        names = ", ".join(match.string for _, match, _ in found[:3])
        raise InputError(f"{path}: {len(found)} products inside ({names}…); give one's file")
    reader, match, bands = found[0]
    return replace(reader(match, bands), within=path if path.is_dir() else None)


def candidates(path: Path) -> Iterator[tuple[Reader, re.Match[str], Bands]]:
    """Yield what looks like a product in a folder, or like that to which a file belongs."""
    if not path.is_dir() and not any(p.fullmatch(path.name) for _, p, _ in _CONVENTIONS):
        return  # its folder, which may hold thousands of others, needn't be listed
    folders = [path, path / "measurement"] if path.is_dir() else [path.parent]
    files = sorted(file for folder in folders if folder.is_dir() for file in folder.iterdir())
    for _, pattern, reader in _CONVENTIONS:
        groups: dict[tuple[Path, str], dict[str, re.Match[str]]] = {}
        for file in files:
            if match := pattern.fullmatch(file.name):
                start, end = match.span("polarisation")
                key = (file.parent, file.name[:start] + "*" + file.name[end:])
                groups.setdefault(key, {})[match["polarisation"].lower()] = match
        for (folder, _), matches in groups.items():
            order = sorted(matches, key=lambda name: (name[0] != name[1], name))
            bands = {name: folder / matches[name].string for name in order}
            if path.is_dir() or path in bands.values():
                yield reader, matches[order[0]], bands


def _hyp3(match: re.Match[str], bands: Bands) -> RtcProduct:
    stem = _beside(match, bands)
    scales: dict[str, Scale] = {"p": "power", "a": "amplitude", "d": "decibel"}
    readme = stem.with_name(f"{stem.name}.README.md.txt")
    granule = _granule(_head(readme)) if readme.is_file() else {}
    if match["water"] == "w":
        get_logger(__name__).warning("%s: open water is masked and stays no data", stem)
    return RtcProduct(
        title="ASF HyP3 RTC",
        bands=bands,
        scale=scales[match["scale"]],
        nodata=0.0,
        quantity="gamma0" if match["quantity"] == "g" else "sigma0",
        speckle_filter="enhanced_lee-7" if match["filter"] == "f" else "none",
        mask=_existing(stem, "_ls_map.tif"),
        mask_bits={4: Flag.LAYOVER, 16: Flag.SHADOW},
        angles=_present({"local_incidence_angle": _existing(stem, "_inc_map.tif")}),
        angle_unit=math.degrees(1.0),
        attributes={**granule, **_named(match), **_RTC},
    )


def _opera(match: re.Match[str], bands: Bands) -> RtcProduct:
    stem = _beside(match, bands)

    def static(layer: str) -> Path | None:
        pattern = f"OPERA_L2_RTC-S1-STATIC_{match['burst']}_*_30_v*_{layer}.tif"
        return next(iter(sorted(stem.parent.glob(pattern))), None)

    angles = {name: static(name) for name in ("incidence_angle", "local_incidence_angle")}
    return RtcProduct(
        title="OPERA RTC-S1",
        bands=bands,
        mask=_existing(stem, "_mask.tif"),
        mask_bits={1: Flag.SHADOW, 2: Flag.LAYOVER},
        mask_fill=255,
        angles=_present(angles),
        attributes={**_named(match), **_RTC, "relative_orbit": int(match["track"])},
    )


def _planetary_computer(match: re.Match[str], bands: Bands) -> RtcProduct:
    folders = next(iter(bands.values())).resolve().parts[-4:]
    return RtcProduct(
        title="Planetary Computer sentinel-1-rtc",
        bands=bands,
        nodata=-32768.0,
        attributes=_granule("/".join((*folders, ""))),
    )


def _pyrosar(match: re.Match[str], bands: Bands) -> RtcProduct:
    steps = set(re.split("[_-]", match["steps"].lower()))
    flattened = bool(steps & {"norm", "rtc", "tf"})
    if not flattened and not steps & {"gamma0", "sigma0"}:
        raise InputError(
            f"{next(iter(bands.values()))}: its name states neither gamma0, sigma0, norm nor TF; "
            "name it after what pyroSAR made, such as …_VV_gamma0-rtc_db.tif"
        )
    return RtcProduct(
        title="pyroSAR",
        bands=bands,
        scale="decibel" if "db" in steps else "power",
        quantity="sigma0" if "sigma0" in steps else "gamma0",
        flattened=flattened,
        attributes={
            **_named(match),
            **(_RTC if "rtc" in steps else {}),
            "orbit_direction": _DIRECTIONS[match["direction"]],
        },
    )


_CONVENTIONS: tuple[tuple[str, re.Pattern[str], Reader], ...] = (
    (
        "ASF HyP3 (S1A_IW_…_RTC30_G_gpuned_…_VV.tif)",
        re.compile(
            rf"(?P<platform>S1[A-Z])_(?P<mode>\w\w)_{_TIME}_[SD][HV][PRO]_RTC\d+_G_(?P<quantity>[gs])"
            rf"(?P<scale>[pad])(?P<water>[uw])(?P<filter>[nf])[ec][dm]_[0-9A-F]{{4}}_{_POLARISATION}\.tif"
        ),
        _hyp3,
    ),
    (
        "OPERA RTC-S1 (OPERA_L2_RTC-S1_T…_VV.tif)",
        re.compile(
            rf"OPERA_L2_RTC-S1_(?P<burst>T(?P<track>\d{{3}})-\d{{6}}-(?P<mode>IW)\d)_{_TIME}Z_\d{{8}}T\d{{6}}Z_"
            rf"(?P<platform>S1[A-Z])_\d+_v[\d.]+_{_POLARISATION}\.tif"
        ),
        _opera,
    ),
    (
        "Planetary Computer (iw-vv.rtc.tiff)",
        re.compile(rf"(?:.*[-_])?{_POLARISATION}\.r[te]c\.tiff?", re.IGNORECASE),
        _planetary_computer,
    ),
    (
        "pyroSAR (S1A__IW___A_…_VV_gamma0-rtc_db.tif)",
        re.compile(
            rf"(?P<platform>S1[A-Z])_+(?P<mode>IW|EW|S[1-6])_+(?P<direction>[AD])_{_TIME}_"
            rf"{_POLARISATION}_(?P<steps>[\w-]+)\.tif"
        ),
        _pyrosar,
    ),
)


def _beside(match: re.Match[str], bands: Bands) -> Path:
    """Return folder and name that the files of a product have in common."""
    name = match.string[: match.start("polarisation")].rstrip("_")
    return next(iter(bands.values())).with_name(name)


def _head(file: Path) -> str:
    """Return the beginning of a text, which states what it is of."""
    with file.open("rb") as content:
        return content.read(_HEAD).decode("utf-8", "replace")


def _existing(stem: Path, ending: str) -> Path | None:
    file = stem.with_name(stem.name + ending)
    return file if file.exists() else None


def _present(files: dict[str, Path | None]) -> Bands:
    return {name: file for name, file in files.items() if file is not None}


def _named(match: re.Match[str]) -> dict[str, str | int]:
    mode = match["mode"]
    return {
        "platform": match["platform"],
        "acquisition_time": _time(match["time"]),
        "instrument_mode": "SM" if mode[-1].isdigit() else mode,  # S1 to S6 are stripmap's beams
    }


def _granule(text: str) -> dict[str, str | int]:
    """Return what the name of a level-1 product states, if a text holds one."""
    match = _GRANULE.search(text)
    if match is None:
        return {}
    facts = {**_named(match), "product_type": match["level"]}
    if match["platform"] in _FIRST_ORBIT:
        orbit = int(match["orbit"]) - _FIRST_ORBIT[match["platform"]]
        facts["relative_orbit"] = orbit % 175 + 1
    return facts


def _time(compact: str) -> str:
    try:
        return datetime.strptime(compact, "%Y%m%dT%H%M%S").isoformat() + ".000000000"
    except ValueError as error:
        raise InputError(
            f"{compact}: no time, but stands for one in a product's name; rename it"
        ) from error


def is_rtc(path: Path) -> bool:
    """Whether a path is a terrain-corrected product of a known kind, by its files' names."""
    return next(candidates(path), None) is not None
