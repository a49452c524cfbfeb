"""Fetching products: addresses, downloads, and whether what came is what was asked for."""
