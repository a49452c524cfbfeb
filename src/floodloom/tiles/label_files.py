"""Which files labels lie in: rasters, or features and the classes that these are of."""

from __future__ import annotations

from pathlib import Path

from floodloom.errors import InputError

ENDINGS = (".gpkg", ".fgb", ".geojson", ".json", ".shp")
"""What files of features end in; the format of one is found by its content."""

CLASSES = {"dry": 0, "permanent_water": 1, "flood": 2, "water": 2}
"""Names of the classes, by which features or whole files are labelled; `water` may be permanent."""

REMEDY = "give dry, permanent_water, flood or water, or 0, 1 or 2"


def holds_features(path: str | Path) -> bool:
    """Whether a path is a file of features, or a folder of one for each class."""
    place = Path(path)
    return place.suffix.lower() in ENDINGS or bool(files_of_classes(place))


def files_of_classes(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of features in a folder, each with the class that it is named after.

    Raises
    ------
    InputError
        If there are some, and another that isn't.
    """
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    others = [path for path in files if path.stem.lower() not in CLASSES]
    if others and len(others) < len(files):
        raise InputError(
            f"{others[0]}: not named after a class, as the files beside it are; call it dry, "
            "permanent_water, flood or water"
        )
    return [(CLASSES[path.stem.lower()], path) for path in files if path not in others]
