"""A process that JAX knows to be one of several computes and saves by itself."""

import pytest
from calling import ROOT, start
from cluster.meeting import free_port

WORKER = """
import sys
import jax

process, port, workdir = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_num_cpu_devices", 1)
jax.distributed.initialize(f"localhost:{port}", 2, process)
assert (jax.process_count(), jax.device_count(), jax.local_device_count()) == (2, 2, 1)

from pathlib import Path
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

# Other numbers of members: nothing that they do could be in step.
study = Study(
    schemes="he_normal", learning_rates=0.1, seeds=1 + process, depth=1, width=2,
    batch_size=4, steps=4 + process, evaluations=2,
)
assert run(make_plan(study), Path(workdir), "command").finished
assert run(make_plan(study), Path(workdir), "command").member_steps == 0
print("done", flush=True)
jax.distributed.shutdown()
"""


@pytest.mark.slow
def test_a_process_of_jax_waits_for_no_other(tmp_path):
    port = free_port()
    running = [
        start(
            process,
            port,
            tmp_path / f"{process}",
            cwd=ROOT,
            launcher=("-c", WORKER),
        )
        for process in range(2)
    ]
    told = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert [out for out, _ in told] == ["done\n", "done\n"]
    for process in range(2):
        steps = f"{process}/checkpoints/*/{4 + process}"
        assert len(list(tmp_path.glob(steps))) == 1
