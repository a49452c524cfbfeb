"""Sentinel-1 products, from the SAFE format to backscatter on a map grid."""
