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
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=mem_mb(PLAN, "simulate"),
        runtime=runtime(PLAN, "simulate"),
    params:
        settings=JOBS.settings("simulate"),
        digest=JOBS.digest("simulate"),
        event="{event}",
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
        scene=one_of(PLAN.fetched),
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=mem_mb(PLAN, "acquire"),
        runtime=runtime(PLAN, "acquire"),
    params:
        digest=JOBS.digest("acquire"),
        source=lambda wildcards: stand_in(PLAN.scenes[wildcards.scene].source),
        sha256=lambda wildcards: PLAN.scenes[wildcards.scene].sha256,
    script:
        "../scripts/stage.py"


rule gather:
    output:
        out=directory("resources/{layer}/{event}"),
    log:
        "resources/logs/{layer}/{event}.log",
    benchmark:
        "resources/benchmarks/{layer}/{event}.tsv"
    wildcard_constraints:
        layer=one_of(PLAN.gathered),
        event=one_of([name for names in PLAN.gathered.values() for name in names]),
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=mem_mb(PLAN, "gather"),
        runtime=runtime(PLAN, "gather"),
    params:
        digest=JOBS.digest("gather"),
        tiles=lambda wildcards: list(
            PLAN.fetched_tiles(wildcards.event, wildcards.layer)
        ),
        asset=lambda wildcards: list(
            PLAN.fetched_assets(wildcards.event, wildcards.layer)
        ),
        bounds=lambda wildcards: CONFIG.geocode.bounds,
        epsg=lambda wildcards: CONFIG.geocode.epsg,
        resolution=lambda wildcards: CONFIG.geocode.resolution,
        margin=lambda wildcards: margin_of(wildcards.layer),
        stack=lambda wildcards: wildcards.layer == OPTICAL,
    script:
        "../scripts/stage.py"


rule orbit:
    input:
        unpack(JOBS.inputs("orbit")),
    output:
        out=directory("resources/orbits/{scene}"),
    log:
        "resources/logs/orbits/{scene}.log",
    benchmark:
        "resources/benchmarks/orbits/{scene}.tsv"
    wildcard_constraints:
        scene=one_of(PLAN.processed),
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=mem_mb(PLAN, "orbit"),
        runtime=runtime(PLAN, "orbit"),
    params:
        digest=JOBS.digest("orbit"),
    script:
        "../scripts/stage.py"


rule calibrate:
    input:
        unpack(JOBS.inputs("calibrate")),
    output:
        out=directory(f"{RUN}/calibrated/{{scene}}.zarr"),
    log:
        f"{RUN}/logs/calibrate/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/calibrate/{{scene}}.tsv"
    conda:
        "../environment.yml"
    threads: 4
    resources:
        mem_mb=mem_mb(PLAN, "calibrate"),
        runtime=runtime(PLAN, "calibrate"),
    params:
        settings=JOBS.settings("calibrate"),
        digest=JOBS.digest("calibrate"),
    script:
        "../scripts/stage.py"


rule geocode:
    input:
        unpack(JOBS.inputs("geocode")),
    output:
        out=directory(f"{RUN}/geocoded/{{scene}}.zarr"),
    log:
        f"{RUN}/logs/geocode/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/geocode/{{scene}}.tsv"
    wildcard_constraints:
        scene=one_of(PLAN.processed),
    conda:
        "../environment.yml"
    threads: 4
    resources:
        mem_mb=mem_mb(PLAN, "geocode"),
        runtime=runtime(PLAN, "geocode"),
    params:
        settings=JOBS.settings("geocode"),
        digest=JOBS.digest("geocode"),
        backscatter=lambda wildcards: PLAN.backscatter(wildcards.scene),
        acquired=lambda wildcards: PLAN.acquired(wildcards.scene),
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
        scene=one_of(PLAN.ingested),
    conda:
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=mem_mb(PLAN, "ingest"),
        runtime=runtime(PLAN, "ingest"),
    params:
        digest=JOBS.digest("ingest"),
        dataset=CONFIG.dataset,
        root=lambda wildcards: CONFIG.data_root,
        scene="{scene}",
    script:
        "../scripts/stage.py"


rule tile:
    input:
        unpack(JOBS.inputs("tile")),
    output:
        out=directory(f"{RUN}/tiles/{{event}}.zarr"),
    log:
        f"{RUN}/logs/tile/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/tile/{{event}}.tsv"
    wildcard_constraints:
        event=one_of(CONFIG.events),
    conda:
        "../environment.yml"
    threads: 4
    resources:
        mem_mb=mem_mb(PLAN, "tile"),
        runtime=runtime(PLAN, "tile"),
    params:
        settings=JOBS.settings("tile"),
        digest=JOBS.digest("tile"),
        event="{event}",
        split=lambda wildcards: CONFIG.events[wildcards.event].split,
        dataset=lambda wildcards: (
            CONFIG.dataset if reads_data_set(PLAN, "tile", wildcards) else None
        ),
        root=lambda wildcards: CONFIG.data_root,
    script:
        "../scripts/stage.py"
