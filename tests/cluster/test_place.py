"""Which process this is: by flags, by the cluster, or a line of what to say."""

import pytest

from init_study.cluster import Place, find_place
from init_study.errors import UserError

SLURM = {
    "SLURM_JOB_ID": "4321",
    "SLURM_STEP_NODELIST": "gpu[012-014],gpu020",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


@pytest.fixture
def nowhere(monkeypatch):
    """No cluster, whatever the machine of the tests is."""
    for name in (*SLURM, "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("JAX_COORDINATOR_PORT", raising=False)
    return monkeypatch


def test_flags_say_all():
    assert find_place("node7:61000", 4, 1) == Place(1, 4, "node7", 61000)
    assert find_place("[::1]:80", 1, 0) == Place(0, 1, "::1", 80)
    assert find_place("[::1]:80", 1, 0).coordinator == "[::1]:80"


def test_slurm_says_all(nowhere):
    """JAX takes a port that follows from the number of the job."""
    for name, value in SLURM.items():
        nowhere.setenv(name, value)
    found = find_place()
    assert found[:3] == (2, 4, "gpu012") and found.accelerator == 0
    assert 61440 <= found.port < 65536
    assert find_place("here:1").coordinator == "here:1"
    nowhere.setenv("JAX_COORDINATOR_PORT", "5000")
    assert find_place().port == 5000


def test_a_tpu_pod_says_all(nowhere):
    from jax._src.clusters import cloud_tpu_cluster

    nowhere.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    nowhere.setattr("jax._src.clusters.cluster.running_in_cloud_tpu_vm", True)
    waited = lambda *_: None  # noqa: E731
    nowhere.setattr(
        cloud_tpu_cluster.BaseTpuCluster, "wait_for_coordinator", classmethod(waited)
    )
    for name, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_ID": "3",
        "TPU_WORKER_HOSTNAMES": "t0,t1,t2,t3",
        "MEGASCALE_COORDINATOR_ADDRESS": "",
        "MEGASCALE_NUM_SLICES": "",
        "MEGASCALE_SLICE_ID": "",
    }.items():
        nowhere.setenv(name, value)
    found = find_place()
    assert found[:3] == (3, 4, "t0") and found.accelerator is None


def test_where_no_cluster_is_the_flags_are_named(nowhere):
    with pytest.raises(UserError) as caught:
        find_place("here:1")
    assert "say --processes=N --process=I" in str(caught.value)
    with pytest.raises(UserError, match="say --coordinator=HOST:PORT --processes=N"):
        find_place()


def test_a_cluster_that_says_nonsense_is_one_line(nowhere):
    for name, value in (SLURM | {"SLURM_NTASKS": "many"}).items():
        nowhere.setenv(name, value)
    with pytest.raises(UserError, match=r"does not say which .*many.*--processes=N"):
        find_place()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("here:1", 2, 2), "--process=2 is none of --processes=2"),
        (("here:1", 2, -1), "--process=-1 is none"),
        (("here:1", 0, 0), "from 0 to 0"),
        (("here", 2, 1), "--coordinator=here is no HOST:PORT"),
        ((":80", 2, 1), "no HOST:PORT"),
        (("here:x", 2, 1), "no HOST:PORT"),
        (("here:0", 2, 1), "no HOST:PORT"),
        (("here:65536", 2, 1), "no HOST:PORT"),
        (("", 2, 1), "no HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        find_place(*given)
