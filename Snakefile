from snakemake.utils import min_version

min_version("9.1")


if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/collect.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        f"{RUN}/report.html",
        f"{RUN}/map.html",
        TARGETS["delineated"],
        TARGETS["evaluated"],


include: "workflow/rules/scenes.smk"
include: "workflow/rules/learning.smk"
include: "workflow/rules/maps.smk"
