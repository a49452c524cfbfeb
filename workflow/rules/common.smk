import sys
from pathlib import Path

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.config.text import check_keys
from floodloom.digest import code_digest
from floodloom.errors import details, one_line
from floodloom.names import PATTERN
from floodloom.workflow import inputs as files
from floodloom.workflow.choices import chosen_modules
from floodloom.workflow.digests import Digests, Job
from floodloom.workflow.downloads import stand_in
from floodloom.workflow.lock import FOLDER
from floodloom.workflow.persistence import keep_results_honest
from floodloom.workflow.plan import Plan
from floodloom.workflow.sources import Sources

try:
    for path in workflow.configfiles:
        check_keys(Path(path))
    CONFIG = load_config(config, ", ".join(map(str, workflow.configfiles)) or "config")
    PLAN = Plan(CONFIG, load_scenes(CONFIG))
    check_paths(CONFIG)
except Exception as error:
    print(f"{details(error)}floodloom: {one_line(error)}", file=sys.stderr)
    sys.exit(2)

RUN = PLAN.folder
SOURCES = Sources(FOLDER / "sources.json")

keep_results_honest(CONFIG.run.name)


wildcard_constraints:
    event=PATTERN,
    scene=PATTERN,
    role="before|after",
    model="[a-z0-9_]+",
    seed=r"\d+",
    round=r"\d+",


def inputs(stage):
    """What the jobs of a stage read.

    Times say nothing about sources, which may be copied or touched: their digests do.
    """

    def of_job(wildcards):
        found = files.inputs(PLAN, stage, wildcards)
        return {name: untimed(value) for name, value in found.items()}

    return of_job


def untimed(value):
    if isinstance(value, str):
        return value if maker(value) else ancient(value)
    return [untimed(path) for path in value]


def settings(stage):
    """Settings of a stage by name, as functions: a brace in one isn't a wildcard."""
    return {name: constant(value) for name, value in PLAN.settings(stage).items()}


def constant(value):
    return lambda wildcards: value


def digest(stage):
    """What the results of a job depend on, down to the sources.

    Snakemake compares with what it recorded of the outputs that are there, one job at a time, and the
    values of `params` as a set, without their names. A job that failed, an intermediate result that
    was deleted or a setting that another has as well would hide a change; not from this digest.
    """
    return lambda wildcards: DIGESTS.of_job(stage, dict(wildcards.items()))


class Named(dict):
    """Wildcards by key and by attribute, as Snakemake gives them."""

    __getattr__ = dict.__getitem__


def job(stage, wildcards):
    """What a job is made of: the parameters of its rule, its inputs, and sources beside them."""
    values = {
        name: value(Named(wildcards)) if callable(value) else value
        for name, value in workflow.get_rule(stage).params.items()
        if name != "digest"
    }
    beside = files.named_by_settings(PLAN, stage, wildcards)
    sources = [(str(path), SOURCES.digest(path)) for path in beside]
    if files.reads_data_set(PLAN, stage, wildcards):
        sources.append((CONFIG.data_root, SOURCES.listing(CONFIG.data_root)))
    found = files.inputs(PLAN, stage, wildcards)
    code = code_digest(stage, chosen_modules(PLAN, stage, wildcards))
    return Job(code, values, found, tuple(sources))


def maker(path):
    """Stage and wildcards of what makes a file; None of a source."""
    for made in workflow.rules:
        if made.is_producer(path):
            return made.name, made.get_wildcards(path)
    return None


DIGESTS = Digests(job, maker, SOURCES.digest)


def names(*values):
    """A pattern that matches exactly these names."""
    return "|".join(map(re.escape, values)) or "(?!)"
