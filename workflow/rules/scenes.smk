rule simulate:
    output:
        out_before=directory(f"{RUN}/simulated/{{event}}/before.SAFE"),
        out_after=directory(f"{RUN}/simulated/{{event}}/after.SAFE"),
        dem=f"{RUN}/simulated/{{event}}/dem.tif",
        optical=f"{RUN}/simulated/{{event}}/optical.tif",
        truth=f"{RUN}/simulated/{{event}}/truth.tif",
    log:
        f"{RUN}/logs/simulate/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate/{{event}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **settings("simulate"),
        digest=digest("simulate"),
        event=lambda wildcards: wildcards.event,
        seed=lambda wildcards: CONFIG.events[wildcards.event].seed,
    script:
        "../scripts/stage.py"


rule acquire:
    output:
        out="resources/{scene}.zip",
    log:
        "resources/logs/{scene}.log",
    benchmark:
        "resources/benchmarks/{scene}.tsv"
    wildcard_constraints:
        scene=names(*PLAN.fetched),
    conda:
        "../../environment.yml"
    params:
        digest=digest("acquire"),
        source=lambda wildcards: stand_in(PLAN.scenes[wildcards.scene].source),
        sha256=lambda wildcards: PLAN.scenes[wildcards.scene].sha256,
    script:
        "../scripts/stage.py"


rule calibrate:
    input:
        unpack(inputs("calibrate")),
    output:
        out=directory(f"{RUN}/calibrated/{{scene}}.zarr"),
    log:
        f"{RUN}/logs/calibrate/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/calibrate/{{scene}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **settings("calibrate"),
        digest=digest("calibrate"),
    script:
        "../scripts/stage.py"


rule geocode:
    input:
        unpack(inputs("geocode")),
    output:
        out=directory(f"{RUN}/geocoded/{{scene}}.zarr"),
    log:
        f"{RUN}/logs/geocode/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/geocode/{{scene}}.tsv"
    wildcard_constraints:
        scene=names(*PLAN.processed),
    conda:
        "../../environment.yml"
    params:
        **settings("geocode"),
        digest=digest("geocode"),
    script:
        "../scripts/stage.py"


rule ingest:
    output:
        out=directory(f"{RUN}/geocoded/{{scene}}.zarr"),
        labels=f"{RUN}/labels/{{scene}}.tif",
    log:
        f"{RUN}/logs/ingest/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/ingest/{{scene}}.tsv"
    wildcard_constraints:
        scene=names(*PLAN.ingested),
    conda:
        "../../environment.yml"
    params:
        digest=digest("ingest"),
        dataset=CONFIG.dataset,
        root=constant(CONFIG.data_root),
        scene=lambda wildcards: wildcards.scene,
    script:
        "../scripts/stage.py"


rule tile:
    input:
        unpack(inputs("tile")),
    output:
        out=directory(f"{RUN}/tiles/{{event}}.zarr"),
    log:
        f"{RUN}/logs/tile/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/tile/{{event}}.tsv"
    wildcard_constraints:
        event=names(*CONFIG.events),
    conda:
        "../../environment.yml"
    params:
        **settings("tile"),
        digest=digest("tile"),
        event=lambda wildcards: wildcards.event,
        split=lambda wildcards: CONFIG.events[wildcards.event].split,
        dataset=lambda wildcards: (
            CONFIG.dataset if files.reads_data_set(PLAN, "tile", wildcards) else None
        ),
        root=constant(CONFIG.data_root),
    script:
        "../scripts/stage.py"
