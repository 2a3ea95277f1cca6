"""However examples come to the devices, a run has the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from sklearn.datasets import load_sample_image
from stopping import stopping

from init_study import store
from init_study.data import Split, batch_indices, load_dataset, make_dataset
from init_study.data.batches import Orders
from init_study.data.feeds import Examples, default_feed
from init_study.data.feeds.reading import row_blocks, step_blocks
from init_study.data.rows import in_memory
from init_study.data.splits import Published
from init_study.engine import feeding
from init_study.engine.devices import member_mesh, num_bytes
from init_study.engine.estimate import estimate
from init_study.engine.feeding import Supply, feeding_shapes, make_feeding
from init_study.engine.orders import first_rows, make_orders
from init_study.errors import UserError
from init_study.plan import Given, make_plan
from init_study.run import run
from init_study.study import Study
from init_study.train import Sums, evaluate, init_state, stream

STUDY = Study(
    schemes=("he_normal", "lsuv"),
    learning_rates=(0.1,),
    seeds=(0, 3),
    dataset="ours",
    model="linear",
    batch_size=4,
    steps=11,
    evaluations=3,
    augmentation="crop",
)
SIZES = {"train": 30, "validation": 205, "test": 101}


@pytest.fixture(scope="module")
def dataset():
    draw = np.random.default_rng(0)
    parts = {
        name: Split(
            draw.integers(0, 256, (size, 6, 6, 1)).astype(np.uint8),
            draw.integers(0, 3, size).astype(np.int32),
        )
        for name, size in SIZES.items()
    }
    return make_dataset("ours", Published(parts, num_classes=3))


@pytest.fixture
def small_blocks(monkeypatch):
    """Three steps of two seeds, or one batch of evaluation."""
    monkeypatch.setattr(feeding, "_BLOCK_BYTES", 2 * 4 * 36 * 3)


def on_disk(dataset, folder):
    """The same data set with images that are read from files."""

    def mapped(name):
        part = getattr(dataset, name)
        np.save(folder / f"{name}.npy", part.images)
        return part._replace(images=np.load(folder / f"{name}.npy", mmap_mode="r"))

    return dataset._replace(**{name: mapped(name) for name in SIZES})


def records(study, dataset, workdir, stops=()):
    """Of a run that is stopped after so many calls to the devices, and goes on."""
    plan = make_plan(study, given=Given(datasets={"ours": dataset}))
    for calls in (*stops, None):
        outcome = run(plan, workdir, "", stopping(calls or 10**6))
    assert outcome.finished
    names = (store.RECORDS, store.LAYERS, store.FILTERS)
    return [(workdir / name).read_bytes() for name in names]


@pytest.mark.parametrize("fixed", ["nothing", "order"])
def test_a_streamed_run_has_the_bits_of_a_resident_one(
    dataset, tmp_path, small_blocks, fixed
):
    study = STUDY.replace(fixed=fixed)
    resident = records(study.replace(feed="resident"), dataset, tmp_path / "resident")
    mapped = on_disk(dataset, tmp_path)
    study = study.replace(feed="mapped")
    assert records(study, mapped, tmp_path / "whole") == resident
    assert records(study, mapped, tmp_path / "cut", stops=(3, 2)) == resident


def test_a_run_goes_on_with_another_feed(dataset, tmp_path, small_blocks):
    whole = records(STUDY, dataset, tmp_path / "whole")
    workdir = tmp_path / "both"
    plan = make_plan(STUDY, given=Given(datasets={"ours": dataset}))
    assert not run(plan, workdir, "", stopping(1)).finished
    assert records(STUDY.replace(feed="mapped"), dataset, workdir) == whole


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Cuttings of a photograph in two classes, of many sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    photograph = PIL.Image.fromarray(load_sample_image("china.jpg"))
    draw = np.random.default_rng(0)
    for i in range(80):
        place = folder / ("left" if i % 2 else "right") / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        x, y, w, h = (int(n) for n in draw.integers((0, 0, 12, 12), (99, 99, 30, 30)))
        photograph.crop((x, y, x + w, y + h)).save(place)
    return f"folder:{folder}"


@pytest.mark.parametrize("augmentation", ["none", "flip+crop"])
def test_pictures_are_the_same_prepared_or_decoded_with_a_margin(
    pictures, tmp_path, small_blocks, augmentation
):
    study = STUDY.replace(
        dataset=pictures, image_size=8, image_margin=2, augmentation=augmentation
    )

    def records(feed):
        plan = make_plan(study.replace(feed=feed))
        assert plan.programs[0].feed == feed
        images = plan.programs[0].dataset.train.images
        assert in_memory(images) == (feed != "decoded")
        assert plan.programs[0].network.image_shape == (8, 8, 3)
        assert plan.programs[0].dataset.image_shape == (12, 12, 3)
        assert run(plan, tmp_path / feed, "").finished
        return (tmp_path / feed / store.RECORDS).read_bytes()

    resident = records("resident")
    assert records("mapped") == resident
    # What was kept for the others is no reason not to decode.
    assert records("decoded") == resident


def test_evaluation_sees_the_middle(pictures):
    """What is around it may be anything."""
    study = STUDY.replace(dataset=pictures, image_size=8, image_margin=2)
    plan = make_plan(study).programs[0]
    images = jnp.asarray(plan.dataset.test.images)
    labels = jnp.asarray(plan.dataset.test.labels)
    state = init_state(plan.program, plan.network.own_init(jax.random.key(0)), {})

    def loss(images):
        statistics = map(jnp.asarray, (plan.dataset.mean, plan.dataset.std))
        data = Examples(images, labels, *statistics)
        sums = Sums(jnp.float32(0), jnp.int32(0))
        member, count = (state, sums), len(labels)
        bounds = jnp.int32(0), jnp.int32(count)
        return float(evaluate(plan.network, "xla", member, data, *bounds).loss)

    around = images.at[:, 2:10, 2:10].set(0)
    assert loss(images - around) == loss(images) != loss(images.at[:, 2].set(0))


def test_plain_arrays_are_not_decoded():
    study = STUDY.replace(dataset="digits", feed="decoded")
    with pytest.raises(UserError, match=r"'digits' has arrays.*use feed=mapped"):
        make_plan(study)
    with pytest.raises(UserError, match="given data are arrays; use feed=mapped"):
        make_plan(study, given=Given(datasets={"digits": load_dataset("digits")}))
    with pytest.raises(UserError, match="strict is for pictures; leave it out"):
        load_dataset("digits", strict=True)
    with pytest.raises(UserError, match="give that as well, as image_size=224"):
        STUDY.replace(image_margin=2)


def test_the_study_hash_says_nothing_of_the_feed():
    assert STUDY.replace(feed="mapped").hash == STUDY.hash
    with pytest.raises(UserError, match="Did you mean 'mapped'"):
        STUDY.replace(feed="maped")


@pytest.mark.parametrize("first", [0, 1, 5])
def test_blocks_hold_what_the_rule_of_batches_says(dataset, first):
    steps, size, count = 11, 4, len(dataset.train.labels)
    keys = [stream(seed, "order") for seed in (0, 3)]
    rows = [np.asarray(batch_indices(key, 0, steps, count, size)) for key in keys]

    def of_epoch(place, epoch):
        key = jax.random.fold_in(keys[place], epoch)
        return np.asarray(jax.random.permutation(key, count))

    orders = Orders(of_epoch, len(keys), size, count)
    step = first
    for block, good in step_blocks(dataset.train, orders, first, steps, length=3):
        assert block.images.shape == (2, 3, 4, 6, 6, 1)
        for place in range(good):
            chosen = np.stack([one[step] for one in rows])
            images, labels = dataset.train.images[chosen], dataset.train.labels[chosen]
            np.testing.assert_array_equal(block.images[:, place], images)
            np.testing.assert_array_equal(block.labels[:, place], labels)
            step += 1
        assert not block.images[:, good:].any()
    assert step == steps


def test_row_blocks_hold_every_example_once(dataset):
    labels = [
        block.labels[:count] for block, count in row_blocks(dataset.test, length=40)
    ]
    assert [len(part) for part in labels] == [40, 40, 21]
    np.testing.assert_array_equal(np.concatenate(labels), dataset.test.labels)


def test_an_error_of_the_reading_threads_is_not_lost(dataset):
    def broken(place, epoch):
        raise OSError("the disk is gone")

    orders = Orders(broken, 1, 4, 30)
    with pytest.raises(OSError, match="the disk is gone"):
        list(step_blocks(dataset.train, orders, 0, 3, length=2))


@pytest.mark.parametrize("feed", ["resident", "mapped"])
def test_what_a_device_holds_has_the_announced_shapes(dataset, small_blocks, feed):
    study = STUDY.replace(feed=feed)
    plan = make_plan(study, given=Given(datasets={"ours": dataset})).programs[0]
    shared, _ = next(make_feeding(plan, member_mesh(), STUDY.seeds).shared(0))
    shapes, device_bytes = feeding_shapes(plan, STUDY.seeds)
    described = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes)
    assert described == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shared)
    parts = (dataset.validation, dataset.test)
    if feed == "resident":
        held = sum(part.images.nbytes + part.labels.nbytes for part in parts)
        statistics = dataset.mean.nbytes + dataset.std.nbytes
        assert device_bytes == num_bytes(shared) + held + statistics
    else:
        # Two blocks of what is larger: here a batch of evaluation, not three steps.
        rows = 100 * (6 * 6 + 4) + dataset.mean.nbytes + dataset.std.nbytes
        assert device_bytes == pytest.approx(2 * max(num_bytes(shared), rows), rel=0.01)


@pytest.mark.parametrize("feed", ["resident", "mapped"])
def test_a_plan_prices_the_feed(dataset, feed, small_blocks):
    study = STUDY.replace(feed=feed, seeds=2, schemes="he_normal")
    plan = make_plan(study, given=Given(datasets={"ours": dataset}))
    cost = estimate(plan, plan.programs[0])
    assert cost.prepared_bytes == sum(SIZES.values()) * 6 * 6
    if feed == "resident":
        assert cost.images_per_second is None and cost.reading_share == 0
    else:
        # By definition: images that a step wants, by both speeds.
        a_step = 2 * 4 / cost.images_per_second
        training = 2 / cost.member_steps_per_second
        assert cost.reading_share == pytest.approx(a_step / training)


def test_first_rows_are_the_first_batch_of_each_seed(dataset):
    plan = make_plan(STUDY, given=Given(datasets={"ours": dataset})).programs[0]
    rows = first_rows(plan, STUDY.seeds)
    supply = Supply(make_feeding(plan, member_mesh(), STUDY.seeds), 0)
    shared, place, count = supply.take(2)
    assert (place, count) == (0, 2) and supply.take(2)[1] == 2
    np.testing.assert_array_equal(rows, shared.indices[:2, 0])


def test_seeds_of_one_order_share_a_stream(dataset):
    study = STUDY.replace(fixed="order")
    plan = make_plan(study, given=Given(datasets={"ours": dataset})).programs[0]
    orders, stream_of_seed = make_orders(plan, STUDY.seeds)
    assert orders.streams == 1 and stream_of_seed.tolist() == [0, 0]


def test_the_default_feed_keeps_small_sets_on_the_devices(dataset):
    plan = make_plan(STUDY, given=Given(datasets={"ours": dataset}))
    assert plan.programs[0].feed == "resident"
    assert default_feed(2**30) == "resident" and default_feed(2**30 + 1) == "mapped"
    assert jnp.asarray(dataset.train.images).dtype == jnp.uint8
