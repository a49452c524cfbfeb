rule predict:
    input:
        unpack(predict_inputs),
    output:
        out=f"{RUN}/mosaics/{{event}}/{{role}}.probability.tif",
    log:
        f"{RUN}/logs/predict/{{event}}-{{role}}.log",
    benchmark:
        f"{RUN}/benchmarks/predict/{{event}}-{{role}}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        **settings("predict"),
        **pairing(),
        code=version("predict"),
        event=lambda wildcards: wildcards.event,
    script:
        "../scripts/stage.py"


rule delineate:
    input:
        unpack(delineate_inputs),
    output:
        **depth_output(),
        out=report(
            f"{RUN}/maps/{{event}}/flood.tif",
            category="Maps",
            caption="../report/flood.rst",
        ),
        vectors=f"{RUN}/maps/{{event}}/flood.gpkg",
        item=f"{RUN}/maps/{{event}}/flood.json",
        likelihood=f"{RUN}/maps/{{event}}/likelihood.tif",
        areas=f"{RUN}/maps/{{event}}/areas.csv",
    log:
        f"{RUN}/logs/delineate/{{event}}.log",
    benchmark:
        f"{RUN}/benchmarks/delineate/{{event}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **settings("delineate"),
        code=version("delineate"),
        event=lambda wildcards: wildcards.event,
    script:
        "../scripts/stage.py"


rule evaluate:
    input:
        unpack(evaluate_inputs),
    output:
        out=f"{RUN}/evaluation/summary.json",
    log:
        f"{RUN}/logs/evaluate.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate/summary.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    params:
        **settings("evaluate"),
        code=version("evaluate"),
        event=scored_events(),
        transductive=transductive_events(),
    script:
        "../scripts/stage.py"


rule report:
    input:
        unpack(report_inputs),
    output:
        out=report(
            f"{RUN}/report.html", category="Report", caption="../report/report.rst"
        ),
        map_page=report(
            f"{RUN}/map.html", category="Report", caption="../report/map.rst"
        ),
    log:
        f"{RUN}/logs/report.log",
    benchmark:
        f"{RUN}/benchmarks/report/report.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    params:
        **settings("report"),
        code=version("report"),
        events=mapped_events(),
        before_events=[e for e in mapped_events() if geocoded(e, "before")],
        truth_events=scored_events(),
        config=CONFIG.model_dump_json(),
        benchmarks=f"{RUN}/benchmarks",
    script:
        "../scripts/stage.py"
