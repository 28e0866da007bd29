"""What tells a process which of how many it is."""

import pytest
from jax._src.clusters import cloud_tpu_cluster

from dfjax import hosts
from dfjax.errors import UserError

ADDRESS, COUNT, INDEX = hosts.VARIABLES

# By launcher: what it sets for the third of four processes, and what JAX makes of it.
LAUNCHERS = {
    "slurm": (
        {
            "SLURM_JOB_ID": "5000",
            "SLURM_STEP_NODELIST": "node[7-8]",
            "SLURM_NTASKS": "4",
            "SLURM_PROCID": "2",
            "SLURM_LOCALID": "0",
        },
        f"node7:{61440 + 5000 % 4096}",
        [0],
    ),
    "ompi": (
        {
            "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
            "OMPI_COMM_WORLD_SIZE": "4",
            "OMPI_COMM_WORLD_RANK": "2",
            "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        },
        f"10.96.0.1:{61440 + 1531576320 // 4096 % 4096}",
        [0],
    ),
    "gketpu": (
        {
            "TPU_WORKER_HOSTNAMES": "pod-0.job,pod-1.job,pod-2.job,pod-3.job",
            "TPU_WORKER_ID": "2",
        },
        "pod-0.job:8482",
        None,
    ),
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch):
    names = {*hosts.VARIABLES, *(name for known, *_ in LAUNCHERS.values() for name in known)}
    for name in names:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_are_recognised(monkeypatch, name):
    environment, address, devices = LAUNCHERS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    if name == "gketpu":  # what only such a machine has, and does
        monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
        monkeypatch.setattr(cloud_tpu_cluster, "get_tpu_env_value_from_metadata", lambda key: None)
        monkeypatch.setattr(
            cloud_tpu_cluster.GkeTpuCluster, "wait_for_coordinator", lambda *_: None
        )
    found = hosts.find_cluster()
    assert found.name == name
    known = found.auto_detect_unset_distributed_params(None, None, None, None, None, 10)
    assert known == (address, 4, 2, devices)


def test_one_process_joins_nothing(monkeypatch):
    assert hosts.find_cluster() is None
    assert hosts.join("auto") == ""
    monkeypatch.setenv(COUNT, "2")
    assert hosts.join("off") == ""


def test_variables_are_read():
    assert hosts.read_variables({ADDRESS: "10.0.0.1:1234", COUNT: "4", INDEX: "3"}) == (
        "10.0.0.1:1234",
        4,
        3,
    )


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, f"{ADDRESS}, {COUNT}, {INDEX} not set"),
        ({COUNT: "2"}, f"{ADDRESS}, {INDEX} not set: .* go together"),
        ({ADDRESS: "h:1", COUNT: "2", INDEX: ""}, f"{INDEX} not set"),
        ({ADDRESS: "node7", COUNT: "2", INDEX: "0"}, "node7: give host:port"),
        ({ADDRESS: "h:1", COUNT: "two", INDEX: "0"}, f"{COUNT}=two and {INDEX}=0: give whole"),
        ({ADDRESS: "h:1", COUNT: "2", INDEX: "2"}, f"{INDEX}=2 of 2: give 0 to 1"),
    ],
)
def test_half_of_the_variables_are_refused(monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        hosts.join("env")
    if environment.get(COUNT):
        with pytest.raises(UserError, match=message):
            hosts.join("auto")
