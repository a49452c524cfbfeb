"""Grids, window plans, stores and recipes: rasters without any notion of radar or learning."""
