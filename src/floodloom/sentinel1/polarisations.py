"""The polarisations of Sentinel-1."""

from __future__ import annotations

CO_POLARISED = ("vv", "hh")
CROSS_POLARISED = ("vh", "hv")
POLARISATIONS = (*CO_POLARISED, *CROSS_POLARISED)
"""In the order of bands, and of preference where one of them has to stand for a scene."""
