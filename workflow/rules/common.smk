import sys
from pathlib import Path

from floodloom.config.load import (
    DATASET,
    SIMULATED,
    check_paths,
    load_config,
    load_scenes,
)
from floodloom.config.text import check_keys
from floodloom.digest import code_digest
from floodloom.errors import ConfigError
from floodloom.sentinel1.rtc_products import is_rtc

try:
    for path in workflow.configfiles:
        check_keys(Path(path))
    CONFIG = load_config(config, ", ".join(map(str, workflow.configfiles)) or "config")
    SCENES = load_scenes(CONFIG)
    check_paths(CONFIG)
except ConfigError as error:
    print(f"floodloom: {error}", file=sys.stderr)
    sys.exit(2)

RUN = f"results/{CONFIG.run.name}"
ROUNDS = CONFIG.run.rounds
EVENTS = CONFIG.events
MEMBERS = [(model, seed) for model in CONFIG.run.models for seed in CONFIG.run.seeds]
INGESTED = [scene.name for scene in SCENES.values() if scene.source == DATASET]
PROCESSED = [name for name in SCENES if name not in INGESTED]
TERRAIN_CORRECTED = [name for name in PROCESSED if is_rtc(Path(SCENES[name].source))]


wildcard_constraints:
    event="[^/]+",
    scene="[^/]+",
    role="before|after",
    model="[a-z0-9_]+",
    seed=r"\d+",
    round=r"\d+",


def settings(stage):
    """Keyword arguments of a stage, from its section of the configuration."""
    section = getattr(CONFIG, stage, None)
    return {} if section is None else section.model_dump(mode="json")


def version(stage):
    """What a stage's results depend on besides its input: its code, and its settings by name.

    Snakemake compares the values of `params` as a set, without their names: that one setting has
    become False isn't seen where others are.
    """
    return f"{code_digest(stage)} {settings(stage)}"


def names(*values):
    """A pattern that matches exactly these names."""
    return "|".join(map(re.escape, values)) or "(?!)"


def scene_of(event, role):
    """The scene of an event before or after the flood, or None.

    Of several scenes of one pass the first gives its name to their mosaic.
    """
    found = [s.name for s in SCENES.values() if (s.event, s.role) == (event, role)]
    return found[0] if found else None


def is_simulated(event):
    return any(s.event == event and s.source == SIMULATED for s in SCENES.values())


def mapped_events():
    """Events that are predicted and mapped."""
    return [
        name
        for name, event in EVENTS.items()
        if (event.split == "target" or event.mapped) and scene_of(name, "after")
    ]


def event_file(event, key):
    """A raster of an event: what the configuration names, or what the simulator writes."""
    given = getattr(EVENTS[event], key)
    if given is not None:
        return given
    simulated = {"dem": "dem.tif", "labels": "truth.tif", "optical": "optical.tif"}
    if is_simulated(event) and key in simulated:
        return f"{RUN}/simulated/{event}/{simulated[key]}"
    scene = scene_of(event, "after")
    from_dataset = key in ("labels", "reference_water") and scene in INGESTED
    if from_dataset and EVENTS[event].split != "target":
        return f"{RUN}/labels/{scene}.tif"
    return None


def given(**inputs):
    """The inputs that are there."""
    return {name: value for name, value in inputs.items() if value}


def product(wildcards):
    """Where the product of a scene lies: simulated, on disk, or to be fetched."""
    scene = SCENES[wildcards.scene]
    if scene.source == SIMULATED:
        return f"{RUN}/simulated/{scene.event}/{scene.role}.SAFE"
    return f"resources/{scene.name}.zip" if "://" in scene.source else scene.source


def calibrated(event, role):
    """Calibrated stores of one pass, or products that others have terrain-corrected."""
    same = [s for s in SCENES.values() if (s.event, s.role) == (event, role)]
    return [
        s.source if s.name in TERRAIN_CORRECTED else f"{RUN}/calibrated/{s.name}.zarr"
        for s in same
    ]


def geocode_inputs(wildcards):
    scene = SCENES[wildcards.scene]
    other = "before" if scene.role == "after" else "after"
    return given(
        scene=calibrated(scene.event, scene.role),
        companions=calibrated(scene.event, other),
        dem=event_file(scene.event, "dem"),
    )


def geocoded(event, role):
    scene = scene_of(event, role)
    return scene and f"{RUN}/geocoded/{scene}.zarr"


def needs_before():
    return any(band.startswith("before_") for band in CONFIG.tile.bands)


def tile_inputs(wildcards):
    event = wildcards.event
    teaches = CONFIG.distill is not None
    return given(
        scene=[scene for scene in [geocoded(event, "after")] if scene],
        before=needs_before() and geocoded(event, "before"),
        labels=EVENTS[event].split != "target" and event_file(event, "labels"),
        optical=teaches and event_file(event, "optical"),
    )


def of_split(*splits):
    """Events on these sides of the split."""
    return [name for name, event in EVENTS.items() if event.split in splits]


def tiles(*splits):
    return [f"{RUN}/tiles/{event}.zarr" for event in of_split(*splits)]


def labelled_tiles():
    return tiles("train", "validation", "blocks")


def distilled_tiles():
    """What students learn from: labels, and pairs of radar and optical image without labels."""
    return [*labelled_tiles(), *(f"{RUN}/tiles/{e}.zarr" for e in unlabelled_pairs())]


def unlabelled_pairs():
    """Events without labels whose optical images teach."""
    if CONFIG.distill is None or not CONFIG.distill.unlabelled:
        return []
    return [e for e in of_split("target") if event_file(e, "optical")]


def target_tiles():
    return tiles("target") or tiles("blocks")


def weights(round, model, seed):
    """The checkpoint of a member of the ensemble after a round; round 0 may be distilled."""
    if int(round) == 0 and CONFIG.distill is not None:
        return f"{RUN}/models/distilled/{model}-{seed}.safetensors"
    return f"{RUN}/models/round-{round}/{model}-{seed}.safetensors"


def ensemble(round):
    return [weights(round, model, seed) for model, seed in MEMBERS]


def members(round):
    """What predicts after a round: its own models, or those of all rounds so far."""
    first = 0 if CONFIG.run.growing else int(round)
    return [path for r in range(first, int(round) + 1) for path in ensemble(r)]


def train_inputs(wildcards):
    round, previous = int(wildcards.round), int(wildcards.round) - 1
    if round == 0:
        return {"tiles": labelled_tiles()}
    return {
        "tiles": labelled_tiles(),
        "pseudo": [f"{RUN}/tiles/pseudo-{round}.zarr"],
        "audit": f"{RUN}/relabel/round-{round}.json",
        "init": weights(previous, wildcards.model, wildcards.seed),
    }


def relabel_inputs(wildcards):
    previous = int(wildcards.round) - 1
    return given(
        tiles=target_tiles(),
        validation=labelled_tiles(),
        checkpoints=members(previous),
        previous=previous > 0 and f"{RUN}/tiles/pseudo-{previous}.zarr",
    )


def mosaic(event, role):
    return geocoded(event, role) and f"{RUN}/mosaics/{event}/{role}.probability.tif"


TEACHER = f"{RUN}/models/teacher.safetensors"


def predict_inputs(wildcards):
    event, role = wildcards.event, wildcards.role
    optical = CONFIG.run.optical and role == "after" and event_file(event, "optical")
    return given(
        scene=geocoded(event, role),
        before=needs_before() and geocoded(event, "before"),
        optical=optical,
        radar_checkpoint=optical and members(ROUNDS),
        **{"checkpoint": [TEACHER] if optical else members(ROUNDS)},
    )


def pairing():
    """How an optical image is brought onto a scene that is mapped with it: as onto tiles."""
    names = ("optical_names", "optical_gap_days", "optical_shift")
    asked = settings("tile") if CONFIG.run.optical else {}
    return {name: asked[name] for name in names if name in asked}


def delineate_inputs(wildcards):
    event = wildcards.event
    return given(
        probability=[mosaic(event, "after")],
        scene=geocoded(event, "after"),
        before=[mosaic(event, "before")] if sees_before(event) else [],
        before_scene=geocoded(event, "before"),
        reference_water=event_file(event, "reference_water"),
        land_cover=EVENTS[event].land_cover,
        dem=event_file(event, "dem"),
        zones=EVENTS[event].zones,
    )


def sees_before(event):
    """Whether water before the flood is predicted apart, not compared by the network itself."""
    return not needs_before() and mosaic(event, "before") is not None


def depth_output():
    """The flood depth, where it is asked for."""
    return {"depth": f"{RUN}/maps/{{event}}/depth.tif"} if CONFIG.run.depth else {}


def test_tiles():
    """Stores with a test split of their own."""
    return tiles("test", "blocks")


def scored_events():
    """Mapped events whose truth is known and that gave no labels."""
    held_out = [e for e in mapped_events() if EVENTS[e].split in ("target", "test")]
    return [e for e in held_out if event_file(e, "labels")]


def transductive_events():
    """Events whose scenes, without their labels, take part in relabelling or distillation."""
    return of_split("target") if ROUNDS else unlabelled_pairs()


def evaluate_inputs(wildcards):
    return given(
        prediction=[f"{RUN}/maps/{e}/flood.tif" for e in scored_events()],
        truth=[event_file(e, "labels") for e in scored_events()],
        tiles=test_tiles(),
        **{"checkpoint": test_tiles() and members(ROUNDS)},
    )


def report_inputs(wildcards):
    events = mapped_events()
    maps = [f"{RUN}/maps/{e}" for e in events]
    return given(
        evaluation=f"{RUN}/evaluation/summary.json",
        maps=[f"{folder}/flood.tif" for folder in maps],
        vectors=[f"{folder}/flood.gpkg" for folder in maps],
        scenes=[geocoded(e, "after") for e in events],
        before_scenes=[geocoded(e, "before") for e in events if geocoded(e, "before")],
        probabilities=[mosaic(e, "after") for e in events],
        truth=[event_file(e, "labels") for e in scored_events()],
        checkpoints=[c for r in range(ROUNDS + 1) for c in ensemble(r)],
        audits=[f"{RUN}/relabel/round-{r}.json" for r in range(1, ROUNDS + 1)],
        pseudo=[f"{RUN}/tiles/pseudo-{r}.zarr" for r in range(1, ROUNDS + 1)],
        tiles=test_tiles() or labelled_tiles(),
    )
