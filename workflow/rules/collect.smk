# One target per stage, so that a single stage is a word on the command line.
for target, paths in TARGETS.items():

    rule:
        name:
            target
        input:
            paths,
        localrule: True
