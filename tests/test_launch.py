"""What the launch files tell each process, with the launchers' programs played by shell scripts."""

import os
import pathlib
import subprocess

import pytest
import yaml

from dfjax import hosts

FOLDER = pathlib.Path(__file__).parents[1] / "scripts" / "launch"
SHOW = f'echo "{" ".join(f"${name}" for name in hosts.VARIABLES)} $*"'


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Puts programs of these texts before all others on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in hosts.VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def put(**programs: str) -> None:
        for name, text in programs.items():
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)

    return put


def _bash(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = ("bash", *arguments)
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.parametrize(("status", "is_requeued"), [(75, True), (0, False), (2, False)])
def test_slurm_puts_a_preempted_run_back_into_the_queue(play, status, is_requeued):
    play(srun=f'echo "srun $*"; exit {status}', scontrol='echo "scontrol $*"')
    done = _bash(str(FOLDER / "slurm.sh"), "--workdir", "a b", SLURM_JOB_ID="7")
    assert done.returncode == status, done.stderr
    assert "srun --kill-on-bad-exit=1 dfjax train --workdir a b" in done.stdout
    assert ("scontrol requeue 7" in done.stdout) == is_requeued


def test_mpirun_tells_each_process_which_it_is(play):
    play(
        mpirun='while [ "$1" != bash ]; do echo -n "$1 "; shift; done; echo\n'
        'OMPI_COMM_WORLD_RANK=2 exec "$@"',
        dfjax=SHOW,
    )
    arguments = ("--hostfile", "hosts", "--", "--workdir", "a b")
    done = _bash(str(FOLDER / "mpirun.sh"), *arguments, COORDINATOR="node1:99", NUM_PROCESSES="3")
    options, shown = done.stdout.splitlines()
    assert options.startswith("-np 3 -x JAX_COORDINATOR_ADDRESS -x DFJAX_NUM_PROCESSES --hostfile")
    assert shown == "node1:99 3 2 train --workdir a b"


def test_every_host_of_a_slice_gets_the_command_word_by_word(play):
    play(gcloud='printf "%s\\n" "$@"')
    done = _bash(str(FOLDER / "tpu_vm.sh"), "--workdir", "a b", TPU="slice", ZONE="z")
    assert "--worker=all" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "dfjax train --workdir a\\ b "
    assert _bash(str(FOLDER / "tpu_vm.sh"), ZONE="z").returncode != 0  # no name of a slice


def test_skypilot_tells_each_machine_which_it_is(play):
    task = yaml.safe_load((FOLDER / "skypilot.yaml").read_text())
    play(dfjax=SHOW)
    machine = {
        "SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.6",
        "SKYPILOT_NUM_NODES": str(task["num_nodes"]),
        "SKYPILOT_NODE_RANK": "1",
    }
    done = _bash("-euc", task["run"], **machine, **task["envs"])
    assert done.stdout.startswith("10.0.0.5:1234 2 1 train --config configs/")
    assert task.keys() <= {
        "name",
        "num_nodes",
        "workdir",
        "resources",
        "envs",
        "setup",
        "run",
        "file_mounts",
    }


def test_jobset_counts_its_processes_and_names_the_first():
    jobs = yaml.safe_load((FOLDER / "jobset.yaml").read_text())
    assert (jobs["apiVersion"], jobs["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (workers,) = jobs["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["backoffLimit"] == 0
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    environment = {each["name"]: each for each in container["env"]}
    assert set(environment) == set(hosts.VARIABLES)
    address, count, index = (environment[name] for name in hosts.VARIABLES)
    assert job["completions"] == job["parallelism"] == int(count["value"])
    name = jobs["metadata"]["name"]
    assert address["value"] == f"{name}-{workers['name']}-0-0.{name}:1234"
    assert index["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    )
    config = next(each for each in container["args"] if each.startswith("--config="))
    assert (FOLDER.parents[1] / config.partition("=")[2]).is_file()
