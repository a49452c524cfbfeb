from floodloom.acquire.catalogues import OPTICAL, margin_of
from floodloom.names import PATTERN
from floodloom.workflow.economy import know_parameters, read_scripts_once
from floodloom.workflow.failures import forget_begun, list_failures
from floodloom.workflow.incomplete import forget_rest, report_rest
from floodloom.workflow.sources import stand_in
from floodloom.workflow.inputs import reads_data_set
from floodloom.workflow.jobs import Jobs, one_of, read_plan, when_asked_for
from floodloom.workflow.lock import FOLDER
from floodloom.workflow.persistence import correct_records
from floodloom.workflow.resources import mem_mb, runtime
from floodloom.workflow.sources import Sources
from floodloom.workflow.plan import targets

PLAN = read_plan(config, workflow.configfiles)
CONFIG = PLAN.config
RUN = PLAN.folder
JOBS = Jobs(PLAN, Sources(FOLDER / "sources.json"), workflow)
TARGETS = targets(PLAN)

correct_records(CONFIG.run.name)
know_parameters()
read_scripts_once()


report: "../report/workflow.rst"


wildcard_constraints:
    event=PATTERN,
    scene=PATTERN,
    role=r"after|before(?:-\d+)?",
    model="[a-z0-9_]+",
    seed=r"\d+",
    round=r"\d+",
