rule predict:
    input:
        unpack(JOBS.inputs("predict")),
    output:
        out=f"{RUN}/mosaics/{{event}}/{{role}}.probability.tif",
    log:
        f"{RUN}/logs/predict/{{event}}-{{role}}.log",
    benchmark:
        f"{RUN}/benchmarks/predict/{{event}}-{{role}}.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "predict"),
        runtime=runtime(PLAN, "predict"),
        gpu=1,
    params:
        settings=JOBS.settings("predict"),
        digest=JOBS.digest("predict"),
        event="{event}",
    script:
        "../scripts/stage.py"


rule delineate:
    input:
        unpack(JOBS.inputs("delineate")),
    output:
        **({"depth": f"{RUN}/maps/{{event}}/depth.tif"} if CONFIG.run.depth else {}),
        out=report(
            f"{RUN}/maps/{{event}}/flood.tif",
            category="Maps",
            caption="../report/flood.rst",
        ),
        vectors=f"{RUN}/maps/{{event}}/flood.gpkg",
        flatgeobuf=f"{RUN}/maps/{{event}}/flood.fgb",
        item=f"{RUN}/maps/{{event}}/flood.json",
        likelihood=f"{RUN}/maps/{{event}}/likelihood.tif",
        areas=f"{RUN}/maps/{{event}}/areas.csv",
    log:
        f"{RUN}/logs/delineate/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/delineate/{{event}}.tsv"
    conda:
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=mem_mb(PLAN, "delineate"),
        runtime=runtime(PLAN, "delineate"),
    params:
        settings=JOBS.settings("delineate"),
        digest=JOBS.digest("delineate"),
        event="{event}",
        collection=f"{RUN}/collection.json",
    script:
        "../scripts/stage.py"


rule evaluate:
    input:
        unpack(JOBS.inputs("evaluate")),
    output:
        out=f"{RUN}/evaluation/summary.json",
    log:
        f"{RUN}/logs/evaluate.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate/summary.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "evaluate"),
        runtime=runtime(PLAN, "evaluate"),
        gpu=1,
    params:
        settings=JOBS.settings("evaluate"),
        digest=JOBS.digest("evaluate"),
        event=PLAN.scored_events(),
        transductive=PLAN.transductive_events(),
    script:
        "../scripts/stage.py"


rule report:
    input:
        unpack(JOBS.inputs("report")),
    output:
        out=report(
            f"{RUN}/report.html", category="Report", caption="../report/report.rst"
        ),
        map_page=report(
            f"{RUN}/map.html", category="Report", caption="../report/map.rst"
        ),
        collection=f"{RUN}/collection.json",
    log:
        f"{RUN}/logs/report.log",
    benchmark:
        f"{RUN}/benchmarks/report/report.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "report"),
        runtime=runtime(PLAN, "report"),
        gpu=1,
    params:
        settings=JOBS.settings("report"),
        digest=JOBS.digest("report"),
        events=PLAN.mapped_events(),
        before_events=[e for e in PLAN.mapped_events() if PLAN.geocoded(e, "before")],
        truth_events=PLAN.scored_events(),
        config=lambda wildcards: CONFIG.model_dump_json(),
        benchmarks=f"{RUN}/benchmarks",
    script:
        "../scripts/stage.py"
