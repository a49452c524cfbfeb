"""Run the stage function that has the name of the rule: inputs, outputs and params become its
keyword arguments."""

# Worker processes import this file, without Snakemake's object and for what the stage sends them.
if __name__ == "__main__":
    import os
    import sys
    from pathlib import Path

    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "GDAL"):
        os.environ[f"{library}_NUM_THREADS"] = str(snakemake.threads)

    # In a checkout nothing else lies beside the package; where it is installed, the packages of the
    # job's own environment come first.
    place = Path(snakemake.scriptdir).parents[2]
    sys.path.insert(0 if place.name == "src" else len(sys.path), str(place))

    from floodloom.workflow.failures import note_begin, subject_of

    for path in snakemake.log:  # before anything that takes memory
        note_begin(Path(path), subject_of(snakemake))

    from floodloom.dispatch import run_stage

    sys.exit(run_stage(snakemake))
