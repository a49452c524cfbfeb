# The workflow lies in the package, so that an installed floodloom has it, too.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "src/floodloom/workflow/Snakefile"


workflow.default_target = "all"  # an include takes none over
