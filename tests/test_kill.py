"""`kill -9` at any moment, then the same command: the undisturbed records."""

import random
import time

import pytest
from calling import finish, launch, start

STUDY = (
    "--study.schemes=he_normal,torch --study.learning_rates=0.05,0.2 --study.seeds=4 "
    "--study.depth=2 --study.width=8 --study.norm=batch --study.steps=300 "
    "--study.evaluations=8 --study.augmentation=crop --checkpoint_every=0 --workdir=w"
).split()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_at_random_moments(tmp_path):
    def folder(name):
        (tmp_path / name).mkdir()
        return tmp_path / name

    def records(cwd):
        return (cwd / "w" / "records.jsonl").read_bytes()

    undisturbed = folder("undisturbed")
    launch(*STUDY, cwd=folder("warm"))
    began = time.monotonic()
    code, _, err = launch(*STUDY, cwd=undisturbed)
    whole = time.monotonic() - began
    assert code == 0, err
    moments, killed = random.Random(0), 0
    for trial in range(40):
        cwd = folder(f"trial{trial}")
        process = start(*STUDY, cwd=cwd, start_new_session=True)
        time.sleep(moments.uniform(0.25, 1.0) * whole)
        if process.poll() is None:
            killed += 1
        else:
            # The machine has less to do than when the whole run was timed.
            whole *= 0.9
        finish(["pkill", "-KILL", "-s", process.pid], check=False)
        process.communicate()
        code, _, err = launch(*STUDY, cwd=cwd)
        assert code == 0, err
        assert records(cwd) == records(undisturbed), f"trial {trial}"
        if killed == 20:
            return
    raise AssertionError(f"only {killed} of 40 processes were killed while they ran")
