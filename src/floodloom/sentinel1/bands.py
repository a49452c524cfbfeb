"""Polarisations and their order, and bands that aren't backscatter."""

from __future__ import annotations

CO_POLARISED = ("vv", "hh")
CROSS_POLARISED = ("vh", "hv")
POLARISATIONS = (*CO_POLARISED, *CROSS_POLARISED)
"""In the order of bands, and of preference where one of them has to stand for a scene."""

TERRAIN = ("elevation", "slope", "height_above_drainage")
"""Bands that an elevation raster gives, m, degrees and m."""

RANGES = {
    "incidence_angle": (20.0, 50.0),
    "local_incidence_angle": (0.0, 90.0),
    "elevation": (0.0, 1000.0),
    "slope": (0.0, 45.0),
    "height_above_drainage": (0.0, 50.0),
}
"""Bands that aren't backscatter, and what is mapped to -1..1, in degrees and m.

Sentinel-1 looks at the ground at 18 to 47 degrees; hardly any flood is 50 m above its drainage.
"""
