rule teach:
    input:
        unpack(JOBS.inputs("teach")),
    output:
        out=PLAN.teacher,
    log:
        f"{RUN}/logs/teach/teacher.log",
    benchmark:
        f"{RUN}/benchmarks/teach/teacher.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "teach"),
        runtime=runtime(PLAN, "teach"),
        gpu=1,
    params:
        settings=JOBS.settings("teach"),
        digest=JOBS.digest("teach"),
    script:
        "../scripts/stage.py"


rule distill:
    input:
        unpack(JOBS.inputs("distill")),
    output:
        out=f"{RUN}/models/distilled/{{model}}-{{seed}}.safetensors",
    log:
        f"{RUN}/logs/distill/{{model}}-{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/distill/{{model}}-{{seed}}.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "distill"),
        runtime=runtime(PLAN, "distill"),
        gpu=1,
    params:
        settings=JOBS.settings("distill"),
        digest=JOBS.digest("distill"),
        model="{model}",
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/stage.py"


rule pretrain:
    input:
        unpack(JOBS.inputs("pretrain")),
    output:
        out=f"{RUN}/models/pretrained/{{model}}-{{seed}}.safetensors",
    log:
        f"{RUN}/logs/pretrain/{{model}}-{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain/{{model}}-{{seed}}.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "pretrain"),
        runtime=runtime(PLAN, "pretrain"),
        gpu=1,
    params:
        settings=JOBS.settings("pretrain"),
        digest=JOBS.digest("pretrain"),
        model="{model}",
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/stage.py"


rule train:
    input:
        unpack(JOBS.inputs("train")),
    output:
        out=f"{RUN}/models/round-{{round}}/{{model}}-{{seed}}.safetensors",
    log:
        f"{RUN}/logs/train/round-{{round}}-{{model}}-{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/round-{{round}}-{{model}}-{{seed}}.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "train"),
        runtime=runtime(PLAN, "train"),
        gpu=1,
    params:
        settings=JOBS.settings("train"),
        digest=JOBS.digest("train"),
        model="{model}",
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/stage.py"


rule relabel:
    input:
        unpack(JOBS.inputs("relabel")),
    output:
        out=directory(f"{RUN}/tiles/pseudo-{{round}}.zarr"),
        audit=f"{RUN}/relabel/round-{{round}}.json",
    log:
        f"{RUN}/logs/relabel/round-{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/relabel/round-{{round}}.tsv"
    conda:
        "../environment.yml"
    threads: 8
    resources:
        mem_mb=mem_mb(PLAN, "relabel"),
        runtime=runtime(PLAN, "relabel"),
        gpu=1,
    params:
        settings=JOBS.settings("relabel"),
        digest=JOBS.digest("relabel"),
        round=lambda wildcards: int(wildcards.round),
    script:
        "../scripts/stage.py"
