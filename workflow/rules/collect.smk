# One target per stage, so that a single stage is a word on the command line.
COLLECTED = {
    "calibrated": [
        f"{RUN}/calibrated/{scene}.zarr"
        for scene in PLAN.processed
        if scene not in PLAN.terrain_corrected
    ],
    "geocoded": [
        f"{RUN}/geocoded/{name}.zarr"
        for name, scene in PLAN.scenes.items()
        if name == PLAN.scene_of(scene.event, scene.role)
    ],
    "tiled": [f"{RUN}/tiles/{event}.zarr" for event in CONFIG.events],
    "taught": [PLAN.teacher] if CONFIG.distill else [],
    "distilled": PLAN.ensemble(0) if CONFIG.distill else [],
    "trained": PLAN.ensemble(0),
    "relabelled": PLAN.ensemble(PLAN.rounds),
    "predicted": [PLAN.mosaic(event, "after") for event in PLAN.mapped_events()],
    "delineated": [p for e in PLAN.mapped_events() for p in PLAN.map_products(e)],
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
