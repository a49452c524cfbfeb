"""Flood maps from Sentinel-1 scenes, as one resumable workflow."""

__version__ = "0.1.0"
