"""Run the stage function that has the name of the rule: inputs, outputs and params become its
keyword arguments."""

# Worker processes import this file, without Snakemake's object and for what the stage sends them.
if __name__ == "__main__":
    import os
    import sys
    from pathlib import Path

    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "GDAL"):
        os.environ[f"{library}_NUM_THREADS"] = str(snakemake.threads)

    sys.path.insert(0, str(Path(snakemake.scriptdir).parents[1] / "src"))

    from floodloom.dispatch import run_stage

    sys.exit(run_stage(snakemake))
