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
        code=version("simulate"),
        event=lambda wildcards: wildcards.event,
        seed=lambda wildcards: EVENTS[wildcards.event].seed,
    script:
        "../scripts/stage.py"


rule acquire:
    output:
        out="resources/{scene}.zip",
    log:
        "resources/logs/{scene}.log",
    benchmark:
        "resources/benchmarks/{scene}.tsv"
    conda:
        "../../environment.yml"
    params:
        code=version("acquire"),
        source=lambda wildcards: SCENES[wildcards.scene].source,
        sha256=lambda wildcards: SCENES[wildcards.scene].sha256,
    script:
        "../scripts/stage.py"


rule calibrate:
    input:
        safe=product,
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
        code=version("calibrate"),
    script:
        "../scripts/stage.py"


rule geocode:
    input:
        unpack(geocode_inputs),
    output:
        out=directory(f"{RUN}/geocoded/{{scene}}.zarr"),
    log:
        f"{RUN}/logs/geocode/{{scene}}.log",
    benchmark:
        f"{RUN}/benchmarks/geocode/{{scene}}.tsv"
    wildcard_constraints:
        scene=names(*PROCESSED),
    conda:
        "../../environment.yml"
    params:
        **settings("geocode"),
        code=version("geocode"),
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
        scene=names(*INGESTED),
    conda:
        "../../environment.yml"
    params:
        code=version("ingest"),
        dataset=CONFIG.dataset,
        root=CONFIG.data_root,
        scene=lambda wildcards: wildcards.scene,
    script:
        "../scripts/stage.py"


rule tile:
    input:
        unpack(tile_inputs),
    output:
        out=directory(f"{RUN}/tiles/{{event}}.zarr"),
    log:
        f"{RUN}/logs/tile/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/tile/{{event}}.tsv"
    wildcard_constraints:
        event=names(*EVENTS),
    conda:
        "../../environment.yml"
    params:
        **settings("tile"),
        code=version("tile"),
        event=lambda wildcards: wildcards.event,
        split=lambda wildcards: EVENTS[wildcards.event].split,
        dataset=lambda wildcards: None if tile_inputs(wildcards) else CONFIG.dataset,
        root=CONFIG.data_root,
    script:
        "../scripts/stage.py"
