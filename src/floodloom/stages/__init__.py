"""One module per stage of the workflow: paths in, path out."""

STAGES = {
    "simulate": "A seed: SAFE products before and after a flood, elevation, optical image, truth.",
    "acquire": "A path, URL or STAC item: the product on disk, verified.",
    "gather": "STAC items of tiles or of a scene's bands: a folder of the files, verified.",
    "orbit": "A SAFE product: the orbit file that covers it.",
    "calibrate": "A SAFE product: backscatter in radar geometry, thermal noise removed.",
    "geocode": "Backscatter in radar geometry: a scene on a map grid.",
    "ingest": "A scene of a published data set: a scene store and its labels.",
    "tile": "Scenes, labels and optical images, or a data set: a tile store.",
    "teach": "Tiles with optical images: the optical teacher.",
    "distill": "Teacher and tiles: a model that needs radar alone.",
    "pretrain": "Tiles without their labels: a network to start training from.",
    "train": "Tiles: a trained model.",
    "relabel": "Ensemble and unlabelled tiles: pseudo labels, with an audit.",
    "predict": "A scene and an ensemble: the probability of water.",
    "delineate": "Probabilities after and before: flood map, polygons, STAC item.",
    "evaluate": "Maps and truth, or tiles and checkpoints: scores.",
    "report": "All results: report and map page.",
}
"""The stages in the order of the workflow, and what each makes of what."""
