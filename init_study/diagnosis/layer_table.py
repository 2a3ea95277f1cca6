"""The table of `launch.py show`: a scheme on a network, layer by layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, PRNGKeyArray

from init_study.diagnosis.of_plan import first_batch
from init_study.errors import UserError
from init_study.instruments.gains import Gain, layer_gains, tap_squares
from init_study.instruments.signals import gradients_at_layers
from init_study.jaxprs import SOON
from init_study.keys import fixed_key, threefry
from init_study.mean_field.predict import PredictedSignals, predict
from init_study.network import Network, Params
from init_study.network.in_words import (
    branch_in_words,
    fans_in_words,
    follower_in_words,
    peculiarities,
)
from init_study.plan import Plan
from init_study.schemes import Batch, Scheme
from init_study.schemes.scheme import draw, leaf_of
from init_study.train import stream

# What a scheme asks for is the mean over so many draws.
_DRAWS = 16


def scheme_overview(plan: Plan) -> list[dict[str, Any]]:
    """Describe every program and scheme of a plan: its layers, and what they do.

    Each scheme is drawn once for seed 0, as a run would draw it, on the first batch of
    that seed; `asked` numbers are means over more draws on the same batch.
    """
    return [
        {
            "program": program_plan.label,
            "scheme": text,
            "parameters": program_plan.network.num_parameters,
            "passes": scheme.cost(program_plan.network)._asdict(),
            "not_recognized": sorted(map("/".join, program_plan.network.unknown)),
            "read_no_images": sorted(map("/".join, program_plan.network.aside)),
            "layers": inspect_scheme(
                scheme, program_plan.network, first_batch(program_plan)
            ),
        }
        for program_plan in plan.programs
        for text, scheme in plan.schemes.items()
    ]


def inspect_scheme(
    scheme: Scheme, network: Network, batch: Batch, seed: int = 0
) -> list[dict[str, Any]]:
    """Describe a scheme on a network: a row for every layer, in order of execution.

    Args:
        scheme: that draws.
        network: a traced network.
        batch: what goes through it.
        seed: of the draw.

    Keys of a row: `layer`, `kind`, `shape`, `parts`, `groups`, `fan_in`, `fan_out`,
    `mean_fans`, those that the operation has on average, `fans` in words, `activation`,
    `normalized`, both as `then`, `branch`, `peculiarities`, `rule`; over draws
    `asked_mean` and `asked_std`;
    `mean`, `std`, `min`, `max` of this one; `forward` and `backward`, factors on the
    mean square of noise that goes through the layer's operation, with `predicted_`
    beside; and of the batch through the whole network `signal`, the mean square of the
    layer's output, and `gradient`, that of the gradient there for random gradients of
    variance 1 at the result; `predicted_` beside as well, None where an operation is
    not known. Numbers that are not finite are None.
    """
    key = stream(seed, "init")
    draw_once = _drawer(scheme, network, batch)
    params = draw_once(key)
    keys = jax.random.split(jax.random.fold_in(key, 1), _DRAWS)
    state = network.model_state(stream(seed, "init"))
    asked, squares = _asked(draw_once, network, state, keys)
    measured, predicted = layer_gains(network, params, state, squares, fixed_key(0))
    signals, gradients = _through(network, params, state, batch.images)
    foreseen = _foreseen(network, params, state, squares, batch.images)
    said = scheme.explain(network)
    return [
        {
            **_what(network, index, said[layer.kernel]),
            **_numbers(leaf_of(params, layer.kernel), mean, square),
            **_gains(measured[index], predicted[index]),
            "signal": _number(signals[index]),
            "predicted_signal": foreseen and _number(foreseen.signals[index]),
            "gradient": _number(gradients[index]),
            "predicted_gradient": foreseen and _number(foreseen.gradients[index]),
        }
        for index, (layer, (mean, square)) in enumerate(
            zip(network.layers, asked, strict=True)
        )
    ]


def layer_columns(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the rows of `inspect_scheme` as words for a terminal.

    What was asked for or predicted is in brackets.
    """
    branched = any(row["branch"] for row in layers)
    return [
        {
            "layer": row["layer"],
            "kernel": _kernel_word(row),
            "fans": row["fans"],
            "then": row["then"],
            **({"branch": row["branch"]} if branched else {}),
            "mean": _word(row["mean"]),
            "std": _beside(row["std"], row["asked_std"]),
            "min": _word(row["min"]),
            "max": _word(row["max"]),
            **{
                name: _beside(row[name], row[f"predicted_{name}"])
                for name in ("forward", "backward", "signal", "gradient")
            },
        }
        for row in layers
    ]


def _drawer(
    scheme: Scheme, network: Network, batch: Batch
) -> Callable[[PRNGKeyArray], Params]:
    """Make what draws key by key; rules are found, or all is compiled, but once."""
    if scheme.refinements:
        return jax.jit(lambda key: scheme(key, network, batch))
    rules = scheme.rules(network)
    return lambda key: draw(rules, threefry(key), network)


def _asked(
    draw_once: Callable[[PRNGKeyArray], Params], network: Network, state: Any, keys: Any
) -> Any:
    """Compute each layer's mean and mean square, and that at each tap, over draws."""
    layers = network.layers
    # What a kernel becomes on its way is computed; other kernels are the weights.
    on_their_way = any(one.scale_free or one.multiplier != 1 for one in layers)
    of_weights = jax.jit(lambda params: tap_squares(network, params, state))

    def moments(key: PRNGKeyArray) -> Any:
        params = draw_once(key)
        kernels = [np.asarray(leaf_of(params, la.kernel), np.float32) for la in layers]
        means = [kernel.mean() for kernel in kernels]
        squares = [np.square(kernel, dtype=np.float64).mean() for kernel in kernels]
        if on_their_way:
            return means, squares, of_weights(params)
        plain = [la.plain(one) for la, one in zip(layers, kernels, strict=True)]
        return (
            means,
            squares,
            [np.square(one, dtype=np.float64).mean((-2, -1)) for one in plain],
        )

    found = [moments(key) for key in keys]
    means, squares, at_taps = (
        [np.asarray(np.mean(values, 0)) for values in zip(*kind, strict=True)]
        for kind in zip(*found, strict=True)
    )
    return list(zip(means, squares, strict=True)), at_taps


def _through(network: Network, params: Params, state: Any, images: Array) -> Any:
    """Measure mean squares of signals and gradients, through the whole network."""
    result = jax.eval_shape(
        lambda p: network.apply(p, state, images, train=True, key=fixed_key(0))[0],
        params,
    )
    cotangent = jax.random.normal(fixed_key(1), result.shape)

    def mean_squares(params: Params) -> Any:
        signals, gradients = gradients_at_layers(
            network, params, state, images, cotangent
        )
        return tuple(
            [jnp.mean(value.astype(jnp.float32) ** 2) for value in values]
            for values in (signals.outputs, gradients)
        )

    return jax.jit(mean_squares, compiler_options=SOON)(params)


def _foreseen(
    network: Network, params: Params, state: Any, squares: Any, images: Array
) -> PredictedSignals | None:
    """Predict what `_through` measures, or say why not and return None."""
    try:
        return predict(network, params, state, squares, images, fixed_key(2))
    except UserError as error:
        logging.warning("no prediction of signals: %s", error)
        return None


def _what(network: Network, index: int, rule: str) -> dict[str, Any]:
    layer = network.layers[index]
    then = follower_in_words(layer)
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "shape": list(layer.kernel_shape),
        "parts": layer.parts,
        "groups": layer.groups,
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "mean_fans": list(layer.mean_fans),
        "fans": fans_in_words(layer),
        "activation": then.removeprefix("norm, "),
        "normalized": layer.normalized,
        "then": then,
        "branch": branch_in_words(index, layer, network.branches),
        "peculiarities": list(peculiarities(layer)),
        "rule": rule,
    }


def _numbers(kernel: Array, mean: Any, square: Any) -> dict[str, Any]:
    numbers = np.asarray(kernel, np.float64)
    return {
        "asked_mean": _number(mean),
        "asked_std": _number(max(0.0, float(square) - float(mean) ** 2) ** 0.5),
        "mean": _number(numbers.mean()),
        "std": _number(numbers.std()),
        "min": _number(numbers.min()),
        "max": _number(numbers.max()),
    }


def _gains(measured: Gain, predicted: Gain) -> dict[str, Any]:
    return {
        "forward": _number(measured.forward),
        "predicted_forward": _number(predicted.forward),
        "backward": _number(measured.backward),
        "predicted_backward": _number(predicted.backward),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _kernel_word(row: dict[str, Any]) -> str:
    """Write a kernel's shape, and how many there are side by side: `3 of 64×64`."""
    shape = "×".join(map(str, row["shape"]))
    return shape if row["parts"] == 1 else f"{row['parts']} of {shape}"


def _word(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _beside(value: float | None, expected: float | None) -> str:
    return f"{_word(value)} ({_word(expected)})"
