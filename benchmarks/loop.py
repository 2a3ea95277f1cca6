"""A study's members trained by this engine and by a loop over plain Flax.

    python -m benchmarks.loop --repeats=5 --steps=40

Both train the same members on the same batches, in turns, in one process. The loop is
what one writes without this engine: one jitted step of plain `nn.Conv` and optax, one
member after the other, on JAX's one CPU device with all threads. Compilation is not
counted. Prints member-steps per second and the ratio: median, least and greatest.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from absl import app, flags

from init_study.data import standardize
from init_study.execution import member_mesh, place_members, prepare_jax
from init_study.experiments import load_study
from init_study.plan import ProgramPlan, make_plan
from init_study.population import (
    compile_population,
    hyperparameters,
    initial_population,
    training_images,
)

_STUDY = flags.DEFINE_string("study", "first_look", "Name in experiments/, or a file.")
_MEMBERS = flags.DEFINE_integer("members", 20, "Members of each program.", 1)
_STEPS = flags.DEFINE_integer("steps", 20, "Steps of each member.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each way.", 1)
EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


def main(_: list[str]) -> None:
    """Print one line per program."""
    prepare_jax(None)
    study = load_study(_STUDY.value, EXPERIMENTS)
    study = study.replace(evaluations=max(1, min(study.steps) // _STEPS.value))
    plan = make_plan(study)
    members = plan.members[:: max(1, len(plan.members) // _MEMBERS.value)]
    cores = len(os.sched_getaffinity(0))
    print(
        f"jax {jax.__version__}, {cores} cores, {len(members)} members, "
        f"{_STEPS.value} steps, n={_REPEATS.value}; median (least to greatest)"
    )
    for program in plan.programs:
        print(f"{program.label}: {compare(program, plan.schemes, members)}")


def compare(plan: ProgramPlan, schemes: Any, members: Any) -> str:
    """Member-steps per second of both ways, and their ratio, in turns."""
    ways = [ours(plan, schemes, members), loop(plan, schemes, members)]
    for way in ways:
        way()
    rates: list[list[float]] = [[], []]
    for _ in range(_REPEATS.value):
        for way, measured in zip(ways, rates, strict=True):
            began = time.monotonic()
            way()
            seconds = time.monotonic() - began
            measured.append(len(members) * _STEPS.value / seconds)
    ratios = [mine / theirs for mine, theirs in zip(*rates, strict=True)]
    return (
        f"engine {_spread(rates[0], 0)}, loop {_spread(rates[1], 0)} member-steps/s; "
        f"ratio {_spread(ratios, 1)}"
    )


def ours(plan: ProgramPlan, schemes: Any, members: Any) -> Callable[[], None]:
    """The population as a run trains it."""
    mesh, width = member_mesh(), plan.execution.chunk_width
    compiled = compile_population(plan, mesh, tuple(m.seed for m in members))
    indices = compiled.indices(0)
    start = initial_population(plan, schemes, members, indices[:, 0])
    hyper = place_members(hyperparameters(members), mesh, width)
    images = training_images(plan, mesh)

    def way() -> None:
        state = place_members(start, mesh, width)
        steps = jnp.int32(_STEPS.value)
        jax.block_until_ready(compiled.train(state, hyper, images, indices, steps))

    return way


def loop(plan: ProgramPlan, schemes: Any, members: Any) -> Callable[[], None]:
    """One member after the other, one jitted step of plain Flax after the other."""
    network, dataset = plan.network, plan.dataset
    mesh = member_mesh(jax.devices()[:1])
    compiled = compile_population(plan, mesh, tuple(m.seed for m in members))
    hyper = hyperparameters(members)
    indices = jax.device_get(compiled.indices(0))
    start = initial_population(plan, schemes, members, indices[:, 0])
    all_images = jnp.asarray(dataset.train.images)
    all_labels = jnp.asarray(dataset.train.labels)
    mean, std = jnp.asarray(dataset.mean), jnp.asarray(dataset.std)

    def loss_of(params: Any, images: Any, labels: Any) -> Any:
        logits = network.module.apply({"params": params}, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean()

    @jax.jit
    def step(params: Any, opt_state: Any, rate: Any, batch: Any) -> Any:
        images = standardize(all_images[batch], mean, std)
        gradients = jax.grad(loss_of)(params, images, all_labels[batch])
        optimizer = optax.sgd(rate, momentum=plan.program.momentum)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def way() -> None:
        for place in range(len(members)):
            params = jax.tree.map(lambda leaf, i=place: leaf[i], start.params)
            opt_state = optax.sgd(0.0, momentum=0.9).init(params)
            batches = indices[hyper.seed_slot[place]]
            for i in range(_STEPS.value):
                rate = hyper.learning_rate[place]
                params, opt_state = step(params, opt_state, rate, batches[i])
            jax.block_until_ready(params)

    return way


def _spread(values: list[float], digits: int) -> str:
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    app.run(main)
