"""Writing SAFE products as the Instrument Processing Facility does.

Source: ESA, Sentinel-1 Product Specification, S1-RS-MDA-52-7441, sections 3 and 6.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.raster.opener import quiet_about_georeference
from floodloom.sentinel1.annotation import SPEED_OF_LIGHT
from floodloom.simulate.acquisition import Acquisition

IPF_VERSION = "003.40"
_STEP = 40


@dataclass(frozen=True)
class TiePoints:
    """Geolocation grid, all (point,): line, pixel, degrees, m, slant range m, incidence degrees."""

    line: Doubles
    pixel: Doubles
    latitude: Doubles
    longitude: Doubles
    height: Doubles
    slant_range: Doubles
    incidence: Doubles


@dataclass(frozen=True)
class SafeContent:
    """What a product is made of.

    `measurements` maps vv, vh to (line, pixel) uint16; `tables` maps betaNought, sigmaNought, gamma
    and dn to (pixel,) float64; `noise` maps vv, vh to (pixel,) float64, squared digital numbers.
    """

    start: np.datetime64
    acquisition: Acquisition
    measurements: Mapping[str, NDArray[np.uint16]]
    tables: Mapping[str, Doubles]
    noise: Mapping[str, Doubles]
    tie_points: TiePoints
    mission: str = "S1A"
    absolute_orbit: int = 30117
    relative_orbit: int = 44


def write_safe(content: SafeContent, folder: Path) -> Path:
    """Write a SAFE folder: manifest, annotation, calibration, noise and measurements."""
    for name in ("annotation/calibration", "measurement"):
        (folder / name).mkdir(parents=True)
    start = _compact(content.start)
    stop = _compact(_after(content.start, _duration(content)))
    files = []
    for number, (band, dn) in enumerate(content.measurements.items(), start=1):
        stem = (
            f"{content.mission.lower()}-iw-grd-{band}-{start.lower()}-{stop.lower()}-"
            f"{content.absolute_orbit:06d}-03c2d1-{number:03d}"
        )
        files += [f"measurement/{stem}.tiff", f"annotation/{stem}.xml"]
        _write_measurement(folder / f"measurement/{stem}.tiff", dn)
        _write(folder / f"annotation/{stem}.xml", _annotation(content, band, number))
        calibration = folder / "annotation/calibration"
        _write(calibration / f"calibration-{stem}.xml", _calibration(content, band, number))
        _write(calibration / f"noise-{stem}.xml", _noise(content, band, number))
    (folder / "manifest.safe").write_text(_manifest(content, files), encoding="utf-8")
    return folder


def _duration(content: SafeContent) -> float:
    geometry = content.acquisition.geometry
    return (geometry.lines - 1) * geometry.azimuth_time_interval


def _after(start: np.datetime64, seconds: float) -> np.datetime64:
    return start + np.timedelta64(round(seconds * 1e6), "us")


def _iso(time: np.datetime64) -> str:
    return str(time.astype("datetime64[us]"))


def _compact(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("-", "").replace(":", "")


def _write_measurement(path: Path, dn: NDArray[np.uint16]) -> None:
    height, width = dn.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": "uint16"}
    with quiet_about_georeference(), rasterio.open(path, "w", driver="GTiff", **profile) as raster:
        raster.write(dn, 1)


def _write(path: Path, root: ET.Element) -> None:
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def _child(parent: ET.Element, name: str, value: object = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, name, attributes)
    if value is not None:
        element.text = str(value)
    return element


def _list(parent: ET.Element, name: str, count: int) -> ET.Element:
    return _child(parent, name, count=str(count))


def _numbers(parent: ET.Element, name: str, values: Iterable[float], form: str = ".9e") -> None:
    texts = [format(value, form) for value in values]
    _child(parent, name, " ".join(texts), count=str(len(texts)))


def _root(content: SafeContent, name: str, band: str, number: int) -> ET.Element:
    root = ET.Element(name)
    header = _child(root, "adsHeader")
    facts = {
        "missionId": content.mission,
        "productType": "GRD",
        "polarisation": band.upper(),
        "mode": "IW",
        "swath": "IW",
        "startTime": _iso(content.start),
        "stopTime": _iso(_after(content.start, _duration(content))),
        "absoluteOrbitNumber": content.absolute_orbit,
        "missionDataTakeId": 246481,
        "imageNumber": f"{number:03d}",
    }
    for key, value in facts.items():
        _child(header, key, value)
    return root


def _annotation(content: SafeContent, band: str, number: int) -> ET.Element:
    root = _root(content, "product", band, number)
    general = _child(root, "generalAnnotation")
    information = _child(general, "productInformation")
    _child(information, "pass", "Ascending")
    _child(information, "projection", "Ground Range")
    _child(information, "radarFrequency", "5.405000454334350e+09")
    _orbits(general, content)
    _image(root, content)
    _tie_points(root, content)
    _conversions(root, content)
    return root


def _orbits(general: ET.Element, content: SafeContent) -> None:
    acquisition = content.acquisition
    orbits = _list(general, "orbitList", len(acquisition.time))
    for time, position, velocity in zip(
        acquisition.time, acquisition.position, acquisition.velocity, strict=True
    ):
        orbit = _child(orbits, "orbit")
        _child(orbit, "time", _iso(_after(content.start, float(time))))
        _child(orbit, "frame", "Earth Fixed")
        for name, vector in (("position", position), ("velocity", velocity)):
            element = _child(orbit, name)
            for axis, value in zip("xyz", vector, strict=True):
                _child(element, axis, f"{value:.9e}")


def _image(root: ET.Element, content: SafeContent) -> None:
    geometry = content.acquisition.geometry
    image = _child(_child(root, "imageAnnotation"), "imageInformation")
    middle = content.tie_points.incidence.mean()
    facts = {
        "productFirstLineUtcTime": _iso(content.start),
        "productLastLineUtcTime": _iso(_after(content.start, _duration(content))),
        "slantRangeTime": f"{2 * content.tie_points.slant_range.min() / SPEED_OF_LIGHT:.15e}",
        "pixelValue": "Detected",
        "outputPixels": "16 bit Unsigned Integer",
        "rangePixelSpacing": f"{geometry.range_pixel_spacing:.6e}",
        "azimuthPixelSpacing": f"{geometry.azimuth_pixel_spacing:.6e}",
        "azimuthTimeInterval": f"{geometry.azimuth_time_interval:.15e}",
        "numberOfSamples": geometry.samples,
        "numberOfLines": geometry.lines,
        "incidenceAngleMidSwath": f"{middle:.15e}",
    }
    for key, value in facts.items():
        _child(image, key, value)


def _tie_points(root: ET.Element, content: SafeContent) -> None:
    points, interval = content.tie_points, content.acquisition.geometry.azimuth_time_interval
    parent = _list(_child(root, "geolocationGrid"), "geolocationGridPointList", len(points.line))
    for index in range(len(points.line)):
        point = _child(parent, "geolocationGridPoint")
        time = _after(content.start, float(points.line[index]) * interval)
        _child(point, "azimuthTime", _iso(time))
        distance = points.slant_range[index]
        _child(point, "slantRangeTime", f"{2 * distance / SPEED_OF_LIGHT:.15e}")
        _child(point, "line", round(float(points.line[index])))
        _child(point, "pixel", round(float(points.pixel[index])))
        _child(point, "latitude", f"{points.latitude[index]:.15e}")
        _child(point, "longitude", f"{points.longitude[index]:.15e}")
        _child(point, "height", f"{points.height[index]:.15e}")
        _child(point, "incidenceAngle", f"{points.incidence[index]:.15e}")


def _conversions(root: ET.Element, content: SafeContent) -> None:
    conversion = content.acquisition.geometry.conversion
    parent = _list(
        _child(root, "coordinateConversion"), "coordinateConversionList", len(conversion.times)
    )
    rows = zip(conversion.times, conversion.origins, conversion.coefficients, strict=True)
    for time, origin, coefficients in rows:
        entry = _child(parent, "coordinateConversion")
        _child(entry, "azimuthTime", _iso(_after(content.start, float(time))))
        _child(entry, "slantRangeTime", f"{2 * origin / SPEED_OF_LIGHT:.15e}")
        _child(entry, "sr0", f"{origin:.15e}")
        _numbers(entry, "srgrCoefficients", coefficients, ".15e")


def _vector_lines(content: SafeContent) -> Sequence[int]:
    last = content.acquisition.geometry.lines - 1
    return sorted({*range(0, last, 200), last})


def _vector(parent: ET.Element, name: str, content: SafeContent, line: int) -> ET.Element:
    vector = _child(parent, name)
    interval = content.acquisition.geometry.azimuth_time_interval
    _child(vector, "azimuthTime", _iso(_after(content.start, line * interval)))
    _child(vector, "line", line)
    return vector


def _pixels(content: SafeContent) -> NDArray[np.int_]:
    last = content.acquisition.geometry.samples - 1
    return np.array(sorted({*range(0, last, _STEP), last}))


def _calibration(content: SafeContent, band: str, number: int) -> ET.Element:
    root = _root(content, "calibration", band, number)
    _child(_child(root, "calibrationInformation"), "absoluteCalibrationConstant", "1.000000e+00")
    lines, pixels = _vector_lines(content), _pixels(content)
    vectors = _list(root, "calibrationVectorList", len(lines))
    for line in lines:
        vector = _vector(vectors, "calibrationVector", content, line)
        _numbers(vector, "pixel", pixels, "d")
        for name in ("sigmaNought", "betaNought", "gamma", "dn"):
            _numbers(vector, name, content.tables[name][pixels])
    return root


def _noise(content: SafeContent, band: str, number: int) -> ET.Element:
    root = _root(content, "noise", band, number)
    lines, pixels = _vector_lines(content), _pixels(content)
    vectors = _list(root, "noiseRangeVectorList", len(lines))
    for line in lines:
        vector = _vector(vectors, "noiseRangeVector", content, line)
        _numbers(vector, "pixel", pixels, "d")
        _numbers(vector, "noiseRangeLut", content.noise[band][pixels])
    geometry = content.acquisition.geometry
    azimuth = _child(_list(root, "noiseAzimuthVectorList", 1), "noiseAzimuthVector")
    _child(azimuth, "swath", "IW")
    _child(azimuth, "firstAzimuthLine", 0)
    _child(azimuth, "firstRangeSample", 0)
    _child(azimuth, "lastAzimuthLine", geometry.lines - 1)
    _child(azimuth, "lastRangeSample", geometry.samples - 1)
    _numbers(azimuth, "line", [0, geometry.lines - 1], "d")
    _numbers(azimuth, "noiseAzimuthLut", [1.0, 1.0])
    return root


def _manifest(content: SafeContent, files: Sequence[str]) -> str:
    stop = _iso(_after(content.start, _duration(content)))
    objects = "\n".join(
        f'    <dataObject ID="part{number}"><byteStream><fileLocation locatorType="URL" '
        f'href="./{name}"/></byteStream></dataObject>'
        for number, name in enumerate(files, start=1)
    )

    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"
    xmlns:safe="http://www.esa.int/safe/sentinel-1.0"
    xmlns:s1="http://www.esa.int/safe/sentinel-1.0/sentinel-1"
    xmlns:s1sarl1="http://www.esa.int/safe/sentinel-1.0/sentinel-1/sar/level-1">
  <metadataSection>
    <safe:processing name="Simulation">
      <safe:facility name="floodloom simulator">
        <safe:software name="Sentinel-1 IPF" version="{IPF_VERSION}"/>
      </safe:facility>
    </safe:processing>
    <safe:platform>
      <safe:familyName>SENTINEL-1</safe:familyName><safe:number>{content.mission[2]}</safe:number>
      <s1sarl1:mode>IW</s1sarl1:mode>
    </safe:platform>
    <safe:orbitReference>
      <safe:orbitNumber type="start">{content.absolute_orbit}</safe:orbitNumber>
      <safe:relativeOrbitNumber type="start">{content.relative_orbit}</safe:relativeOrbitNumber>
      <s1:pass>ASCENDING</s1:pass>
    </safe:orbitReference>
    <safe:acquisitionPeriod>
      <safe:startTime>{_iso(content.start)}</safe:startTime><safe:stopTime>{stop}</safe:stopTime>
    </safe:acquisitionPeriod>
    <s1sarl1:productType>GRD</s1sarl1:productType>
  </metadataSection>
  <dataObjectSection>
{objects}
  </dataObjectSection>
</xfdu:XFDU>
"""
