"""What the settings of a job choose by name, whose code the job depends on beside its stage's."""

from __future__ import annotations

from collections.abc import Mapping

from floodloom.settings import Settings, of_jobs
from floodloom.workflow.inputs import reads_data_set
from floodloom.workflow.plan import Plan

_DATA_ALONE = {"preset"}
"""What is chosen, but runs in no job: its values are settings."""


def chosen_modules(plan: Plan, stage: str, wildcards: Mapping[str, str]) -> tuple[str, ...]:
    """Return the modules of what a job chooses by name.

    Parameters
    ----------
    plan
        What the run is made of.
    stage
        Name of the stage.
    wildcards
        Wildcards of the job.

    Returns
    -------
    tuple
        Modules of its losses, architectures, gates and so on, and of the data set that it reads.
        The architectures of checkpoints that it reads are chosen by the jobs that make them.
    """
    section = getattr(plan.config, stage, None)
    found: list[str] = []
    if isinstance(section, Settings):
        keys = type(section).model_fields.keys()
        of_job = {key: wildcards[key] for key in of_jobs(type(section)) & wildcards.keys()}
        found += section.model_copy(update=of_job).modules(*(keys - _DATA_ALONE))
    if reads_data_set(plan, stage, wildcards):
        found += plan.config.modules("dataset")
    return tuple(dict.fromkeys(found))
