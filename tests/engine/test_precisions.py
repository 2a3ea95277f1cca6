"""A study of precisions: what is trained and evaluated in each, and what is not."""

import numpy as np
import pytest

from init_study import store
from init_study.control import Control
from init_study.errors import UserError
from init_study.plan import Given, make_plan
from init_study.run import run
from init_study.study import Study

NAMES = (None, "float32", "tf32", "bfloat16")
STUDY = Study(
    schemes="he_normal",
    learning_rates=(0.1, 0.3),
    seeds=1,
    depth=2,
    width=4,
    norm="batch",
    batch_size=8,
    steps=12,
    evaluations=1,
    precision=NAMES,
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "precisions"
    assert run(make_plan(STUDY), workdir, "command", Control()).finished
    return workdir


def losses_of(workdir, split):
    """Losses by precision, of one step after the other `[2 rates]`."""
    table = store.load(workdir)
    table = table[(table.metric == "loss") & (table.split == split)]
    by = table.groupby("precision", dropna=False)
    found = {name: part.value.to_numpy() for name, part in by}
    return {name if isinstance(name, str) else None: v for name, v in found.items()}


@pytest.fixture(scope="module")
def losses(workdir):
    return losses_of(workdir, "validation")


def test_each_precision_is_a_program(losses):
    assert set(losses) == set(NAMES)
    assert all(len(found) == 4 for found in losses.values())


def test_on_a_cpu_float32_is_the_default(losses):
    np.testing.assert_array_equal(losses[None], losses["float32"])


@pytest.mark.parametrize(("name", "bits"), [("tf32", 11), ("bfloat16", 8)])
def test_evaluation_and_training_are_less_precise(workdir, losses, name, bits):
    """The untrained nets are the same, and of their losses as many digits."""
    apart = np.abs(losses[name] - losses["float32"]) / losses["float32"]
    assert (apart > 0).all()
    assert apart[:2].max() < 2.0 ** (1 - bits)
    # Training adds up what it begins with.
    assert apart[2:].max() < 0.2
    trained = losses_of(workdir, "train")
    assert (trained[name] != trained["float32"]).all()
    np.testing.assert_allclose(trained[name], trained["float32"], rtol=0.1)


def test_parameters_and_draws_are_of_float32(workdir):
    filters = store.load_filters(workdir)
    starts = [kernel for (_, step, *_), kernel in filters.items() if step == 0]
    assert len(starts) == 2 * len(NAMES)
    for start in starts:
        np.testing.assert_array_equal(start, starts[0])
    ends = [k for (_, step, _, rate), k in filters.items() if (step, rate) == (12, 0.1)]
    for end in ends:
        # No kernel is on a coarser grid than that of float32.
        assert (end.astype(np.float16) != end).any()


def test_widths_of_chunks_are_rounded_alike(losses, tmp_path):
    """What a precision is does not hang on how members lie."""
    study = STUDY.replace(precision="bfloat16", chunk_width=2)
    assert run(make_plan(study), tmp_path, "command", Control()).finished
    table = store.load(tmp_path)
    table = table[(table.metric == "loss") & (table.split == "validation")]
    found = table.value.to_numpy()
    np.testing.assert_allclose(found[:2], losses["bfloat16"][:2], rtol=1e-5)


def test_an_unknown_precision_is_answered_by_the_nearest():
    with pytest.raises(UserError, match="bfloat16"):
        STUDY.replace(precision="bfloat")


def test_a_model_that_does_not_take_it_is_refused_before_anything_is_written():
    """Whatever the device: a run may go on elsewhere."""
    import flax.linen as nn

    class Rows(nn.Module):
        @nn.compact
        def __call__(self, x):
            hidden = nn.RNN(nn.SimpleCell(4))(x[..., 0])
            return nn.Dense(10)(hidden[:, -1])

    given = Given(models={"rows": Rows()})
    study = STUDY.replace(model="rows", depth=None, width=None, norm=None)
    make_plan(study.replace(precision=(None, "float32")), given=given)
    for precision in ("tf32", "bfloat16"):
        with pytest.raises(UserError, match=f"does not take precision={precision}"):
            make_plan(study.replace(precision=precision), given=given)
