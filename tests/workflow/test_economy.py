"""What is done once instead of for each job gives what it gave before."""

import inspect
from types import SimpleNamespace

import snakemake.common as snakemake_common
import snakemake.rules as snakemake_rules
import snakemake.script as snakemake_script

from floodloom.workflow.economy import know_parameters, read_scripts_once


def test_what_a_function_takes_is_looked_up_once(monkeypatch) -> None:
    asked = []

    def get_function_params(function):
        asked.append(function)
        return inspect.signature(function).parameters

    for module in (snakemake_common, snakemake_rules):
        monkeypatch.setattr(module, "get_function_params", get_function_params)
    know_parameters()
    know_parameters()

    def one(wildcards, threads):
        return wildcards, threads

    def other(wildcards, *, attempt):
        return wildcards, attempt

    given = {"threads": 2, "attempt": 1}
    for _ in range(3):
        assert snakemake_common.get_input_function_aux_params(one, given) == {"threads": 2}
        assert snakemake_common.get_input_function_aux_params(other, given) == {"attempt": 1}
        assert "threads" in snakemake_rules.get_function_params(one)
    assert asked == [one, other]


def test_a_script_is_read_once_and_one_of_each_job_every_time(monkeypatch) -> None:
    asked = []

    def get_source(path, sourcecache, basedir=None, wildcards=None, params=None):
        asked.append(path)
        return path, wildcards

    monkeypatch.setattr(snakemake_script, "get_source", get_source)
    read_scripts_once()
    read_scripts_once()
    folders = [SimpleNamespace(get_path_or_uri=lambda secret_free, n=n: n) for n in "ab"]
    for folder in folders:
        for job in range(3):
            assert snakemake_script.get_source("stage.py", None, folder, job, {})[0] == "stage.py"
    assert asked == ["stage.py"] * 2
    made = [snakemake_script.get_source("{wildcards.a}.py", None, None, job, {}) for job in (1, 2)]
    assert [job for _, job in made] == [1, 2]
