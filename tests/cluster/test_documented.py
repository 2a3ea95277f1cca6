"""What docs/howto/clusters.md says to Slurm, a TPU pod and Kubernetes, in their shape.

None of them is here: a script stands for `srun`, and variables for what they set.
"""

import os
import re
import shlex
import sys

import pytest
from calling import ROOT, begin, finish, launch, tiny
from meeting import free_port

from init_study import store

yaml = pytest.importorskip("yaml", reason="reads the JobSet")
TEXT = (ROOT / "docs/howto/clusters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|yaml)\n(.*?)```", TEXT, re.DOTALL)
# Starts a command as often as there are tasks, each with what Slurm tells it.
SRUN = f"""#!{sys.executable}
import os, subprocess, sys
command = [word for word in sys.argv[1:] if word != "--kill-on-bad-exit=0"]
tasks = int(os.environ["SLURM_NTASKS"])
running = [
    subprocess.Popen(command, env=os.environ | {{
        "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}})
    for task in range(tasks)
]
sys.exit(max(process.wait() for process in running))
"""


def block(start):
    (found,) = [text for _, text in BLOCKS if start in text]
    return found


def here(command):
    """A documented command with this launcher, a tiny study and no study by name."""
    python = f"{sys.executable} {ROOT / 'launch.py'}"
    command = command.replace("python launch.py", python)
    return command.replace("--study=first_look", shlex.join(tiny(seeds="4")))


def environment(**more):
    return os.environ | more


@pytest.fixture
def alone(tmp_path):
    """The records of the same study on one host."""
    flags = [*tiny(seeds="4"), f"--workdir={tmp_path / 'alone'}"]
    assert launch("run", *flags, cwd=tmp_path)[0] == 0
    return (tmp_path / "alone" / store.RECORDS).read_bytes()


@pytest.mark.slow
def test_the_batch_script_of_slurm(tmp_path, alone):
    for name, text in {
        "srun": SRUN,
        "job": here(block("#SBATCH")),
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = finish(
        ["bash", tmp_path / "job"],
        200,
        check=False,
        cwd=tmp_path,
        env=environment(
            PATH=f"{tmp_path}:{os.environ['PATH']}",
            SLURM_JOB_ID=str(free_port()),
            SLURM_NTASKS="2",
            SLURM_STEP_NODELIST="localhost",
            SLURM_SUBMIT_DIR=str(tmp_path),
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "process 1 of 2 has done its part" in done.stdout
    records = tmp_path / "runs/first_look" / store.RECORDS
    assert records.read_bytes() == alone


def at_once(commands, cwd):
    """Shell commands at once, each with variables of its own; all are to succeed."""
    running = [
        begin(["bash", "-c", command], cwd=cwd, env=environment(**variables))
        for command, variables in commands
    ]
    told = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * len(running), told


@pytest.mark.slow
def test_the_job_set_of_kubernetes(tmp_path, alone):
    """Its command and the variables that it asks for; two pods are two processes."""
    (job,) = yaml.safe_load(block("JobSet"))["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-c"]
    assert spec["completions"] == spec["parallelism"] == 2
    (command,) = container["args"]
    command = here(command).replace("/shared", str(tmp_path))
    (coordinator,) = container["env"]
    name, port = coordinator["value"].rsplit(":", 1)
    assert name == "first-look-host-0-0.first-look" and port.isdecimal()
    variables = {coordinator["name"]: f"localhost:{free_port()}"}
    pods = [(command, variables | {"JOB_COMPLETION_INDEX": f"{i}"}) for i in range(2)]
    at_once(pods, tmp_path)
    assert (tmp_path / "first_look" / store.RECORDS).read_bytes() == alone


@pytest.mark.slow
def test_the_command_of_a_tpu_pod(tmp_path, alone):
    """With what a worker's environment says; the chips of this machine are its CPU."""
    words = shlex.split(block("gcloud"))
    (command,) = [w for w in words if w.startswith("--command=")]
    *_, command = command.strip().splitlines()
    command = here(command).replace("/mnt/shared", str(tmp_path))
    port = free_port()
    pods = [
        (
            command,
            {
                "JAX_FORCE_TPU_INIT": "1",
                "JAX_PLATFORMS": "cpu",
                "JAX_COORDINATOR_PORT": f"{port}",
                "TPU_SKIP_MDS_QUERY": "1",
                "TPU_WORKER_ID": f"{worker}",
                "TPU_WORKER_HOSTNAMES": "localhost,localhost",
                "MEGASCALE_COORDINATOR_ADDRESS": "",
                "MEGASCALE_NUM_SLICES": "",
                "MEGASCALE_SLICE_ID": "",
            },
        )
        for worker in range(2)
    ]
    at_once(pods, tmp_path)
    assert (tmp_path / "first_look" / store.RECORDS).read_bytes() == alone
