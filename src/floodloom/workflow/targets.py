"""The targets of the command line: all that a stage makes."""

from __future__ import annotations

from floodloom.workflow.plan import Plan


def targets(plan: Plan) -> dict[str, list[str]]:
    """Return what each target asks for, by its name: one for every stage that others wait for."""
    run = plan.folder
    mapped = plan.mapped_events()
    return {
        "calibrated": [
            f"{run}/calibrated/{scene}.zarr"
            for scene in plan.processed
            if scene not in plan.terrain_corrected
        ],
        "geocoded": [f"{run}/geocoded/{scene}.zarr" for scene in plan.first_scenes()],
        "tiled": [f"{run}/tiles/{event}.zarr" for event in plan.config.events],
        "taught": [plan.teacher] if plan.config.distill else [],
        "distilled": plan.ensemble(0) if plan.config.distill else [],
        "trained": plan.ensemble(0),
        "relabelled": plan.ensemble(plan.rounds),
        "predicted": [path for event in mapped if (path := plan.mosaic(event, "after"))],
        "delineated": [path for event in mapped for path in plan.map_products(event)],
        "evaluated": [f"{run}/evaluation/summary.json"],
    }
