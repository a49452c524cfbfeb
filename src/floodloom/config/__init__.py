"""The configuration: one model per stage."""
