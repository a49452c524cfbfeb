# One target per stage, so that a single stage is one name on the command line.
for target, paths in TARGETS.items():

    rule:
        name:
            target
        input:
            when_asked_for(paths),
        localrule: True
