"""Optical images beside radar scenes: bands, clouds, registration, water indices."""
