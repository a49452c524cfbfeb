"""Physically plausible flood events with known truth."""
