"""What is done once instead of for each job gives what it gave before."""

import inspect
from types import SimpleNamespace

import snakemake.script as snakemake_script

from floodloom.workflow.resources import read_scripts_once, with_signature


def test_a_stated_signature_is_that_of_the_function() -> None:
    def function(wildcards, threads):
        return wildcards, threads

    stated = with_signature(function)
    assert list(inspect.signature(stated).parameters) == ["wildcards", "threads"]
    assert stated(1, threads=2) == (1, 2)


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
