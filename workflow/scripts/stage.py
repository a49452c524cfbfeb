"""Run the stage function that has the name of the rule: inputs, outputs and params become its
keyword arguments."""

import os
import sys

for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "GDAL"):
    os.environ[f"{library}_NUM_THREADS"] = str(snakemake.threads)

from floodloom.dispatch import run_stage

sys.exit(run_stage(snakemake))
