"""Comparisons: whether rates, seeds, steps and costs allow what will be concluded."""

from collections.abc import Iterator

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.seen import Seen
from init_study.network.branch_scalars import ADDED

# As many as a verdict takes.
FEWEST_SEEDS = 5


def _one_rate(seen: Seen) -> Iterator[Sign]:
    training = seen.set_up.training
    several = (training.schemes or 1) > 1
    if several and len(set(training.learning_rates)) == 1:
        yield Sign(
            "warning",
            "learning rates",
            f"1 rate for {training.schemes} schemes (wanted: 3 or more)",
        )


def _no_inside(seen: Seen) -> Iterator[Sign]:
    grid = sorted(set(seen.set_up.training.learning_rates))
    untuned = seen.set_up.training.untuned
    if len(grid) == 2:
        yield Sign(
            "warning",
            "learning rates",
            f"2 rates, {grid[0]:g} and {grid[1]:g}: the best is at an edge whatever "
            "comes (wanted: 3 or more)",
        )
    if len(grid) > 1 and untuned is not None:
        if not grid[0] <= untuned <= grid[-1]:
            rates = ",".join(f"{rate:g}" for rate in sorted([*grid, untuned]))
            yield Sign(
                "info",
                "learning rates",
                f"from {grid[0]:g} to {grid[-1]:g}, without {untuned:g}, the usual "
                "rate without tuning",
                f"--study.learning_rates={rates}",
            )


def _few_seeds(seen: Seen) -> Iterator[Sign]:
    seeds, schemes = seen.set_up.training.seeds, seen.set_up.training.schemes or 1
    if seeds is not None and seeds < FEWEST_SEEDS:
        yield Sign(
            "warning" if schemes > 1 else "info",
            "seeds",
            f"{seeds} for {schemes} schemes (threshold: {FEWEST_SEEDS})",
        )


def _short_run(seen: Seen) -> Iterator[Sign]:
    training = seen.set_up.training
    steps, batch, examples = training.steps, training.batch_size, training.examples
    if steps and batch and examples and steps * batch < examples:
        yield Sign(
            "info",
            "steps",
            f"{steps} steps of {batch} images are {steps * batch / examples:.2g} "
            f"epochs of {examples} (threshold: 1)",
        )


def _own_cost(seen: Seen) -> Iterator[Sign]:
    steps = seen.set_up.training.steps
    network = seen.set_up.network
    costs = [one.cost(network) for one in seen.set_up.refinements]
    forward, backward = (sum(c[i] for c in costs) for i in range(2))
    # A pass back costs about two forwards, and a step is one of each.
    worth = (forward + 2 * backward) / 3
    if worth:
        share = f", {worth / steps:.1%} of the run" if steps else ""
        yield Sign(
            "info",
            "scheme",
            f"up to {forward} passes forward and {backward} back before the first "
            f"step, worth {worth:.0f} steps{share} (others: 0)",
        )


def _added(seen: Seen) -> Iterator[Sign]:
    paths = [path for path in seen.leaves if path[0] == ADDED]
    if paths:
        numbers = sum(seen.leaves[path].size for path in paths)
        yield Sign(
            "info",
            ADDED,
            f"{numbers} numbers in {len(paths)} parameters that the module itself does "
            "not have (wanted in every scheme that it is compared with, or in none)",
        )


COMPARISON_TRAPS = (
    Trap(
        "one-rate-for-all",
        "schemes are compared at one learning rate",
        "A start's scale and the rate trade off against each other: the rate chooses "
        "the winner.",
        "--study.learning_rates=0.01,0.03,0.1,0.3",
        "derived: behind a norm a kernel c times as large turns 1 / c² as fast",
        _one_rate,
    ),
    Trap(
        "grid-without-inside",
        "the grid of learning rates has no inside, or lies elsewhere",
        "A best rate at the edge may have a better one beyond it, for some schemes and "
        "not for others.",
        "--study.learning_rates=0.01,0.03,0.1,0.3",
        "derived: of two rates each is an edge",
        _no_inside,
    ),
    Trap(
        "too-few-seeds",
        "too few seeds for a verdict",
        "Runs of one scheme differ by the seed alone; of so few the difference between "
        "schemes cannot be told from that.",
        f"--study.seeds={FEWEST_SEEDS}",
        "Jordan 2024, arXiv:2304.01910: runs that differ by seed alone",
        _few_seeds,
    ),
    Trap(
        "less-than-an-epoch",
        "the run ends before all examples were seen",
        "It shows who starts fast, which is not who ends best.",
        "more steps: --study.steps=…; say that it is speed that was compared",
        "derived: steps · batch size below the number of examples",
        _short_run,
    ),
    Trap(
        "passes-before-start",
        "the scheme has passes of its own before the first step",
        "At equal steps it has had more computing than the others.",
        "count them: give the others as many steps more",
        "derived: a pass back costs about two forwards",
        _own_cost,
    ),
    Trap(
        "added-parameters",
        "parameters were added to the architecture",
        "What differs is then more than a start; a comparison has to have them on "
        "both sides.",
        "branches='plain' for the module as it is",
        "Zhang et al. 2019, arXiv:1901.09321: Fixup adds scalars to branches",
        _added,
    ),
)
