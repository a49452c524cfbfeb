"""Known producers of backscatter: the names that they document, and what these state.

Sources: ASF, Sentinel-1 RTC Product Guide (HyP3, GAMMA), tables 3 and 4 and the product's README;
NASA JPL, OPERA RTC-S1 Product Specification, JPL D-108758; Microsoft Planetary Computer, collection
sentinel-1-rtc; pyroSAR, file naming scheme.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.content import format_of
from floodloom.raster.recipe import Flag
from floodloom.raster.vrt import files_of
from floodloom.sentinel1.settings import BackscatterScale, BackscatterSettings

_POLARISATION = r"(?P<polarisation>VV|VH|HH|HV)"
_TIME = r"(?P<time>\d{8}T\d{6})"
_GRANULE = re.compile(
    rf"(?P<platform>S1[A-Z])_(?P<mode>IW|EW|S[1-6])_(?P<level>GRD|SLC)[HMF_]_1S[SD][HV]_{_TIME}"
    r"_\d{8}T\d{6}"
    r"_(?P<orbit>\d{6})_"
)
HEAD_BYTES = 1 << 20
"""What of a file is looked at to know what it is."""
_FIRST_ORBIT = {"S1A": 73, "S1B": 27}
_RTC = {"product_type": "RTC"}
_PLATFORM = re.compile(r"(?<![A-Za-z0-9])(?P<platform>S1[A-Z])(?![A-Za-z0-9])")
_WHEN = re.compile(rf"(?<!\d){_TIME}(?!\d)", re.IGNORECASE)
_DIRECTIONS = {"A": "ascending", "D": "descending"}


@dataclass(frozen=True)
class BackscatterProduct:
    """Files of a product and what their names state.

    Attributes
    ----------
    title
        Who made it, for messages and attributes.
    bands
        Polarisations, co-polarised first, and their files, as far as names state them.
    others
        Files whose names state no polarisation, if none does.
    several
        Names by which the files are of several products; empty if they are of one.
    numbers
        Number of the band of a polarisation in its file, where that isn't the only one.
    states
        What the names state.
    speckle_filter
        See `floodloom.raster.recipe.Recipe`.
    mask
        A file whose bits `mask_bits` names and in which `mask_fill` is no data.
    angles
        Variables and their files, in which 1 is `angle_unit` degrees.
    attributes
        What the names state of how it was taken.
    given
        The file that was given, of which the others are found beside it.
    within
        The folder in which the files were found, if that was given; links may not lead out of it.
    """

    title: str
    bands: Mapping[str, Path]
    others: tuple[Path, ...] = ()
    several: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    states: BackscatterSettings = field(default_factory=BackscatterSettings)
    speckle_filter: str = "none"
    mask: Path | None = None
    mask_bits: Mapping[int, Flag] = field(default_factory=dict)
    mask_fill: int | None = None
    angles: Mapping[str, Path] = field(default_factory=dict)
    angle_unit: float = 1.0
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    given: Path | None = None
    within: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All files, once each, with those that a VRT names."""
        mask = [] if self.mask is None else [self.mask]
        own = [*self.bands.values(), *self.others, *self.angles.values(), *mask]
        named = [file for path in own if format_of(path) == "vrt" for file in files_of(path)]
        return list(dict.fromkeys([*own, *named]))


Bands = dict[str, Path]
Reader = Callable[[re.Match[str], Bands], BackscatterProduct]


@dataclass(frozen=True)
class Preset:
    """A producer: an example of its names, what they are like, and what they state."""

    example: str
    names: re.Pattern[str]
    read: Reader


_FLAT_GAMMA0 = BackscatterSettings(scale="power", quantity="gamma0", flattened=True)


def _hyp3(match: re.Match[str], bands: Bands) -> BackscatterProduct:
    stem = _beside(match, bands)
    scales: dict[str, BackscatterScale] = {"p": "power", "a": "amplitude", "d": "db"}
    readme = stem.with_name(f"{stem.name}.README.md.txt")
    granule = _granule(_head(readme)) if readme.is_file() else {}
    if match["water"] == "w":
        get_logger(__name__).warning("%s: open water is masked and stays no data", stem)
    return BackscatterProduct(
        title="ASF HyP3 RTC",
        bands=bands,
        states=BackscatterSettings(
            scale=scales[match["scale"]],
            quantity="gamma0" if match["quantity"] == "g" else "sigma0",
            nodata=(0.0,),
            flattened=True,
        ),
        speckle_filter="enhanced_lee-7" if match["filter"] == "f" else "none",
        mask=_existing(stem, "_ls_map.tif"),
        mask_bits={4: Flag.LAYOVER, 16: Flag.SHADOW},
        angles=_present({"local_incidence_angle": _existing(stem, "_inc_map.tif")}),
        angle_unit=math.degrees(1.0),
        attributes={**granule, **_named(match), **_RTC},
    )


_HYP3 = Preset(
    "ASF HyP3 (S1A_IW_…_RTC30_G_gpuned_…_VV.tif)",
    re.compile(
        rf"(?P<platform>S1[A-Z])_(?P<mode>\w\w)_{_TIME}_[SD][HV][PRO]_RTC\d+_G_(?P<quantity>[gs])"
        rf"(?P<scale>[pad])(?P<water>[uw])(?P<filter>[nf])[ec][dm]_[0-9A-F]{{4}}_{_POLARISATION}\.tif"
    ),
    _hyp3,
)


def _opera(match: re.Match[str], bands: Bands) -> BackscatterProduct:
    stem = _beside(match, bands)

    def static(layer: str) -> Path | None:
        pattern = f"OPERA_L2_RTC-S1-STATIC_{match['burst']}_*_30_v*_{layer}.tif"
        return next(iter(sorted(stem.parent.glob(pattern))), None)

    angles = {name: static(name) for name in ("incidence_angle", "local_incidence_angle")}
    return BackscatterProduct(
        title="OPERA RTC-S1",
        bands=bands,
        states=_FLAT_GAMMA0,
        mask=_existing(stem, "_mask.tif"),
        mask_bits={1: Flag.SHADOW, 2: Flag.LAYOVER},
        mask_fill=255,
        angles=_present(angles),
        attributes={**_named(match), **_RTC, "relative_orbit": int(match["track"])},
    )


_OPERA = Preset(
    "OPERA RTC-S1 (OPERA_L2_RTC-S1_T…_VV.tif)",
    re.compile(
        rf"OPERA_L2_RTC-S1_(?P<burst>T(?P<track>\d{{3}})-\d{{6}}-(?P<mode>IW)\d)_{_TIME}Z_\d{{8}}T\d{{6}}Z_"
        rf"(?P<platform>S1[A-Z])_\d+_v[\d.]+_{_POLARISATION}\.tif"
    ),
    _opera,
)


def _planetary_computer(match: re.Match[str], bands: Bands) -> BackscatterProduct:
    folders = next(iter(bands.values())).resolve().parts[-4:]
    return BackscatterProduct(
        title="Planetary Computer sentinel-1-rtc",
        bands=bands,
        states=_FLAT_GAMMA0.model_copy(update={"nodata": (-32768.0,)}),
        attributes=_granule("/".join((*folders, ""))),
    )


_PLANETARY_COMPUTER = Preset(
    "Planetary Computer (iw-vv.rtc.tiff)",
    re.compile(rf"(?:.*[-_])?{_POLARISATION}\.r[te]c\.tiff?", re.IGNORECASE),
    _planetary_computer,
)


def _pyrosar(match: re.Match[str], bands: Bands) -> BackscatterProduct:
    steps = set(re.split("[_-]", match["steps"].lower()))
    flattened = bool(steps & {"norm", "rtc", "tf"})
    if not flattened and not steps & {"gamma0", "sigma0"}:
        raise InputError(
            f"{next(iter(bands.values()))}: its name states neither gamma0, sigma0, norm nor TF; "
            "name it after what pyroSAR made, such as …_VV_gamma0-rtc_db.tif"
        )
    return BackscatterProduct(
        title="pyroSAR",
        bands=bands,
        states=BackscatterSettings(
            scale="db" if "db" in steps else "power",
            quantity="sigma0" if "sigma0" in steps else "gamma0",
            flattened=flattened,
        ),
        attributes={
            **_named(match),
            **(_RTC if "rtc" in steps else {}),
            "orbit_direction": _DIRECTIONS[match["direction"]],
        },
    )


_PYROSAR = Preset(
    "pyroSAR (S1A__IW___A_…_VV_gamma0-rtc_db.tif)",
    re.compile(
        rf"(?P<platform>S1[A-Z])_+(?P<mode>IW|EW|S[1-6])_+(?P<direction>[AD])_{_TIME}_"
        rf"{_POLARISATION}_(?P<steps>[\w-]+)\.tif"
    ),
    _pyrosar,
)
PRESETS = (_HYP3, _OPERA, _PLANETARY_COMPUTER, _PYROSAR)


def _beside(match: re.Match[str], bands: Bands) -> Path:
    """Return folder and name that the files of a product have in common."""
    name = match.string[: match.start("polarisation")].rstrip("_")
    return next(iter(bands.values())).with_name(name)


def _head(file: Path) -> str:
    """Return the beginning of a text, which states what it is of."""
    with file.open("rb") as content:
        return content.read(HEAD_BYTES).decode("utf-8", "replace")


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


def facts_of(text: str) -> dict[str, str | int]:
    """Return what names state that nobody has documented: a level-1 product, or parts of one."""
    found = _granule(text)
    if not found and (platform := _PLATFORM.search(text)):
        found["platform"] = platform["platform"]
    if not found.get("acquisition_time") and (when := _WHEN.search(text)):
        found["acquisition_time"] = _time(when["time"].upper())
    return found


def _time(compact: str) -> str:
    try:
        return datetime.strptime(compact, "%Y%m%dT%H%M%S").isoformat() + ".000000000"
    except ValueError as error:
        raise InputError(
            f"{compact}: no time, but stands for one in a product's name; rename it"
        ) from error
