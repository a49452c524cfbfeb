"""Optical images on the radar grid."""
