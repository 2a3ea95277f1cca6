"""A population is its members, trained as if each were alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from init_study.data import batch_indices, standardize
from init_study.engine.devices import (
    fetch_members,
    member_mesh,
    padded_size,
    place_members,
)
from init_study.engine.feeding import Supply, make_feeding
from init_study.engine.orders import first_rows
from init_study.engine.population import (
    compile_population,
    hyperparameters,
    initial_population,
)
from init_study.execution import Execution
from init_study.models import build_model
from init_study.optimizer import make_optimizer
from init_study.plan import make_plan
from init_study.study import Program, Study
from init_study.train import no_sums, stream

STUDY = Study(
    schemes=("he_normal", "torch"),
    learning_rates=(0.05, 0.2),
    seeds=(0, 7),
    depth=2,
    width=3,
    norm="batch",
    batch_size=8,
    steps=6,
    evaluations=1,
    weight_decay=0.01,
    schedule="cosine",
    warmup=0.3,
)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


def train_members(plan, members, *, devices=None, width=1, calls=(6,), rates=None):
    """Final states of some members, by name, as host arrays."""
    program = plan.programs[0]._replace(execution=Execution(width, "canonical"))
    mesh = member_mesh(devices)
    compiled = compile_population(program, mesh)
    seeds = tuple(member.seed for member in members)
    first_steps = first_rows(program, seeds)
    state = initial_population(program, plan.schemes, members, first_steps)
    state = place_members(state, mesh, width)
    hyper = hyperparameters(members, program.program)
    if rates is not None:
        hyper = hyper._replace(learning_rate=np.asarray(rates, np.float32))
    hyper = place_members(hyper, mesh, width)
    supply = Supply(make_feeding(program, mesh, seeds), 0)
    for length in calls:
        shared, first, count = supply.take(length)
        assert count == length
        state = compiled.train(state, hyper, shared, jnp.int32(first), jnp.int32(count))
    compilations = compiled.train._cache_size()
    return fetch_members(state, len(members)), compilations


@pytest.fixture(scope="module")
def together(plan):
    return train_members(plan, plan.members)[0]


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 0.99, 0.999999])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_warm_up_leaves_a_step_for_the_way_down(warmup, steps):
    """The rates rise to the full one, and every step has one above zero."""
    program = Program(schedule="cosine", warmup=warmup, steps=steps, momentum=0.0)
    params = {"kernel": jnp.ones(1)}
    optimizer = make_optimizer(program, 1.0)
    state, moved = optimizer.init(params), []
    for _ in range(steps):
        updates, state = optimizer.update(params, state, params)
        moved.append(-float(updates["kernel"][0]))
    assert max(moved) == pytest.approx(1.0) and min(moved) > 0
    peak = moved.index(max(moved))
    assert moved[: peak + 1] == sorted(moved[: peak + 1])
    assert moved[peak:] == sorted(moved[peak:], reverse=True)


def standardized(dataset, images):
    return standardize(*map(jnp.asarray, (images, dataset.mean, dataset.std)))


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_member_is_what_plain_flax_makes_of_it(plan, together):
    """The reference: one member, plain `nn.Conv`, a Python loop, optax by hand."""
    program, dataset = plan.programs[0], plan.programs[0].dataset
    place = [m.name for m in plan.members].index("torch/lr=0.2/7")
    seed, rate = 7, 0.2
    scheme = plan.schemes["torch"]
    params = scheme(stream(seed, "init"), program.network, None)
    stats = program.network.model_state(jax.random.key(0))
    schedule = optax.warmup_cosine_decay_schedule(rate / 3, rate, 2, 6)
    optimizer = optax.chain(
        optax.add_decayed_weights(0.01), optax.sgd(schedule, momentum=0.9)
    )
    opt_state = optimizer.init(params)
    order = batch_indices(stream(seed, "order"), 0, 6, len(dataset.train.labels), 8)

    def loss_of(params, stats, images, labels):
        variables = {"params": params, **stats}
        logits, new = plain_flax(program).apply(
            variables, images, train=True, mutable=["batch_stats"]
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), new

    gradient = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
    losses = []
    for batch in np.asarray(order):
        images = standardized(dataset, dataset.train.images[batch])
        (loss, stats), grads = gradient(
            params, stats, images, dataset.train.labels[batch]
        )
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        losses.append(loss)

    def close(mine, theirs):
        np.testing.assert_allclose(mine[place], theirs, rtol=1e-4, atol=1e-5)

    jax.tree.map(close, together.params, params)
    jax.tree.map(close, together.model_state, stats)
    close(together.loss_sum, sum(losses))
    assert together.step[place] == 6 and together.diverged_step[place] == -1


def test_number_of_devices_company_and_calls_change_no_bit(plan, together):
    one, _ = train_members(plan, plan.members, devices=jax.devices()[:1])
    assert_same_bits(one, together)
    cut, compilations = train_members(plan, plan.members, calls=(1, 3, 2))
    assert_same_bits(cut, together)
    # None where JAX has let go of what it kept: it keeps so many of a whole process.
    assert compilations <= 1, "another number of steps must not compile again"
    alone, _ = train_members(plan, plan.members[5:6])
    assert_same_bits(alone, jax.tree.map(lambda leaf: leaf[5:6], together))


def test_chunks_of_two_agree_and_are_independent_of_devices(plan, together):
    two, _ = train_members(plan, plan.members, width=2)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), two, together
    )
    one_device = {"devices": jax.devices()[:1], "width": 2}
    assert_same_bits(train_members(plan, plan.members, **one_device)[0], two)


def test_a_member_that_is_not_finite_is_frozen_and_disturbs_nobody(plan, together):
    rates = [m.learning_rate for m in plan.members]
    rates[2] = 1e38
    broken, _ = train_members(plan, plan.members, rates=rates)
    others = [0, 1, 3, 4, 5, 6, 7]
    assert_same_bits(
        jax.tree.map(lambda leaf: leaf[others], broken),
        jax.tree.map(lambda leaf: leaf[others], together),
    )
    assert 1 <= broken.diverged_step[2] <= 6
    assert np.isnan(broken.loss_sum[2])
    assert all(np.isfinite(leaf[2]).all() for leaf in jax.tree.leaves(broken.params))
    assert broken.step[2] == 6, "it stays in every count"


def test_members_that_differ_in_scheme_share_order_and_draws(plan):
    def start(schemes, seeds):
        study = STUDY.replace(schemes=schemes, seeds=seeds)
        other = make_plan(study)
        rows = first_rows(other.programs[0], study.seeds)
        state = initial_population(
            other.programs[0], other.schemes, other.members, rows
        )
        return rows, state.params["Conv_1"]["kernel"]

    indices, he = start(("he_normal",), (7,))
    more_indices, both = start(("zeros", "he_normal"), (3, 7))
    np.testing.assert_array_equal(indices[0], more_indices[1])
    # Members are scheme by scheme, rate by rate, seed by seed: he_normal/0.05/7.
    np.testing.assert_array_equal(he[0], both[5])
    np.testing.assert_array_equal(he[0], he[1])
    assert not np.array_equal(both[4], both[5])


@pytest.mark.parametrize("fixed", ["init", "order"])
def test_what_is_fixed_is_one_for_all_stages_of_a_race(fixed):
    """Whichever seeds a stage has; batches that data-looking schemes see, too."""

    def start(seeds):
        study = STUDY.replace(schemes=("lsuv",), seeds=seeds, fixed=fixed)
        other = make_plan(study)
        rows = first_rows(other.programs[0], study.seeds)
        state = initial_population(
            other.programs[0], other.schemes, other.members, rows
        )
        return rows, state.params["Conv_1"]["kernel"]

    (rows, screened), (more_rows, fresh) = start((0, 1)), start((5, 3))
    if fixed == "order":
        assert (rows == rows[0]).all() and (more_rows == rows[0]).all()
    else:
        for kernel in (*screened, *fresh):
            np.testing.assert_array_equal(kernel, screened[0])


def test_jaxs_default_generator_changes_no_stream():
    def data(seed):
        return jax.random.key_data(stream(seed, "init"))

    expected = jnp.stack([data(jnp.int32(seed)) for seed in range(3)])
    for impl in ("rbg", "unsafe_rbg"):
        with jax.default_prng_impl(impl):
            given = jax.vmap(data)(jnp.arange(3))
        np.testing.assert_array_equal(given, expected)


def test_evaluation_is_the_mean_over_exactly_the_range(plan, together):
    program, mesh = plan.programs[0], member_mesh()
    compiled = compile_population(program, mesh)
    feeding = make_feeding(program, mesh, STUDY.seeds)
    member = place_members((together, no_sums(8)), mesh, 1)
    for split in ("validation", "test"):
        part = getattr(program.dataset, split)
        ((data, *bounds),) = feeding.held(split)
        found = compiled.evaluate(member, data, *map(jnp.int32, bounds))
        losses, correct = fetch_members(found, 8)
        images = standardized(program.dataset, part.images)
        for place in (0, 5):
            one = jax.tree.map(lambda leaf, i=place: leaf[i], together)
            variables = {"params": one.params, **one.model_state}
            logits = np.asarray(
                plain_flax(program).apply(variables, images), np.float64
            )
            right = (logits.argmax(-1) == part.labels).sum()
            log_sum = np.log(np.exp(logits).sum(-1))
            loss = (log_sum - logits[np.arange(len(logits)), part.labels]).mean()
            assert correct[place] == right
            np.testing.assert_allclose(losses[place] / len(logits), loss, rtol=1e-4)
    assert compiled.evaluate._cache_size() == 1, "one compilation for both parts"


def test_chunks_are_always_full():
    mesh = member_mesh()
    assert padded_size(5, mesh, 1) == 6
    assert padded_size(5, mesh, 4) == 8
    assert padded_size(8, mesh, 4) == 8
    placed = place_members({"a": np.arange(5)}, mesh, 4)
    np.testing.assert_array_equal(placed["a"], [0, 1, 2, 3, 4, 4, 4, 4])
    np.testing.assert_array_equal(fetch_members(placed, 5)["a"], np.arange(5))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_traced_rate_gives_what_optax_gives_with_a_plain_one(optimizer):
    program = Program(optimizer=optimizer, weight_decay=0.1, momentum=0.8)
    params = {"w": jnp.array([1.0, -2.0])}
    decay = optax.add_decayed_weights(0.1)
    plain = {
        "sgd": optax.chain(decay, optax.sgd(0.3, momentum=0.8)),
        "adam": optax.chain(decay, optax.adam(0.3)),
        "adamw": optax.adamw(0.3, weight_decay=0.1),
    }[optimizer]

    def two_steps(transformation):
        moved, state = params, transformation.init(params)
        for scale in (1.0, 0.5):
            gradient = jax.tree.map(lambda p, s=scale: s * p, moved)
            updates, state = transformation.update(gradient, state, moved)
            moved = optax.apply_updates(moved, updates)
        return moved["w"]

    traced = jax.jit(lambda rate: two_steps(make_optimizer(program, rate)))(0.3)
    np.testing.assert_allclose(traced, two_steps(plain), rtol=1e-6)


def test_every_seed_and_stream_has_its_own_key():
    names = ("init", "order", "augmentation")
    keys = [stream(seed, name) for seed in (0, 1, 2) for name in names]
    data = {tuple(np.asarray(jax.random.key_data(key))) for key in keys}
    assert len(data) == 9
    np.testing.assert_array_equal(
        jax.random.key_data(stream(jnp.int32(2), "order")),
        jax.random.key_data(stream(2, "order")),
    )


def plain_flax(plan):
    """The model itself, as its class makes it."""
    return build_model(plan.program.model, 10, plan.program.model_arguments())
