# One target per stage, so that a single stage is a word on the command line.
COLLECTED = {
    "calibrated": [
        f"{RUN}/calibrated/{scene}.zarr"
        for scene in PROCESSED
        if scene not in TERRAIN_CORRECTED
    ],
    "geocoded": [
        f"{RUN}/geocoded/{name}.zarr"
        for name, scene in SCENES.items()
        if name == scene_of(scene.event, scene.role)
    ],
    "tiled": [f"{RUN}/tiles/{event}.zarr" for event in EVENTS],
    "taught": [TEACHER] if CONFIG.distill else [],
    "distilled": ensemble(0) if CONFIG.distill else [],
    "trained": ensemble(0),
    "relabelled": ensemble(ROUNDS),
    "predicted": [m for e in mapped_events() for m in [mosaic(e, "after")] if m],
    "delineated": [f"{RUN}/maps/{event}/flood.tif" for event in mapped_events()],
    "evaluated": [f"{RUN}/evaluation/summary.json"],
}


localrules:
    calibrated,
    geocoded,
    tiled,
    taught,
    distilled,
    trained,
    relabelled,
    predicted,
    delineated,
    evaluated,


rule calibrated:
    input:
        COLLECTED["calibrated"],


rule geocoded:
    input:
        COLLECTED["geocoded"],


rule tiled:
    input:
        COLLECTED["tiled"],


rule taught:
    input:
        COLLECTED["taught"],


rule distilled:
    input:
        COLLECTED["distilled"],


rule trained:
    input:
        COLLECTED["trained"],


rule relabelled:
    input:
        COLLECTED["relabelled"],


rule predicted:
    input:
        COLLECTED["predicted"],


rule delineated:
    input:
        COLLECTED["delineated"],


rule evaluated:
    input:
        COLLECTED["evaluated"],
