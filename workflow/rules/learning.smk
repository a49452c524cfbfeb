rule teach:
    input:
        unpack(inputs("teach")),
    output:
        out=PLAN.teacher,
    log:
        f"{RUN}/logs/teach/teacher.log",
    benchmark:
        f"{RUN}/benchmarks/teach/teacher.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        **settings("teach"),
        digest=digest("teach"),
    script:
        "../scripts/stage.py"


rule distill:
    input:
        unpack(inputs("distill")),
    output:
        out=f"{RUN}/models/distilled/{{model}}-{{seed}}.safetensors",
    log:
        f"{RUN}/logs/distill/{{model}}-{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/distill/{{model}}-{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        **settings("distill"),
        digest=digest("distill"),
        model=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/stage.py"


rule train:
    input:
        unpack(inputs("train")),
    output:
        out=f"{RUN}/models/round-{{round}}/{{model}}-{{seed}}.safetensors",
    log:
        f"{RUN}/logs/train/round-{{round}}-{{model}}-{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/round-{{round}}-{{model}}-{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        **settings("train"),
        digest=digest("train"),
        model=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/stage.py"


rule relabel:
    input:
        unpack(inputs("relabel")),
    output:
        out=directory(f"{RUN}/tiles/pseudo-{{round}}.zarr"),
        audit=f"{RUN}/relabel/round-{{round}}.json",
    log:
        f"{RUN}/logs/relabel/round-{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/relabel/round-{{round}}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        **settings("relabel"),
        digest=digest("relabel"),
        round=lambda wildcards: int(wildcards.round),
    script:
        "../scripts/stage.py"
