"""The errors that floodloom raises on purpose; each message is one line that says what to do."""

from __future__ import annotations


class FloodloomError(Exception):
    """Base of every error that floodloom raises on purpose."""


class InputError(FloodloomError):
    """A file, product or argument can't be used."""


class ConfigError(FloodloomError):
    """The configuration or the scene sheet is wrong."""


class RecipeMismatchError(FloodloomError):
    """Two artefacts disagree on what the numbers in their bands mean."""


class CheckpointError(FloodloomError):
    """A checkpoint can't be read or doesn't fit."""


class TrainingError(FloodloomError):
    """Training can't go on."""
