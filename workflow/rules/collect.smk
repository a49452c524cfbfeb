# One target per stage, so that a single stage is one name on the command line.
for target, paths in TARGETS.items():

    rule:
        name:
            target
        input:
            paths,
        localrule: True
