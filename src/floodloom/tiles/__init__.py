"""Aligned tiles of scenes, labels and optical images."""
