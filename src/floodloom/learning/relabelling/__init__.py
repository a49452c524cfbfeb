"""Rounds of pseudo labels: gates, acceptance, adaptation, local likelihood."""
