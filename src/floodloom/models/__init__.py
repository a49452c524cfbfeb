"""Segmentation networks built from shared blocks."""
