"""The starts of schemes on a network: drawn, read and summed up as evidence."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from init_study.advice.evidence_of_start import StartEvidence, evidence_of
from init_study.advice.readings import kernel_part, start_instrument
from init_study.errors import UserError
from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.keys import fixed_key
from init_study.network import Network
from init_study.schemes import Batch, Scheme

# One draw of a narrow net may be luck; a third changed few rankings.
DRAWS = 2
_LEAST_IMAGES = 4


def read_evidence(
    network: Network,
    schemes: Mapping[str, Scheme],
    batch: Batch,
    make_optimizer: Callable[[Any], optax.GradientTransformation],
    key: PRNGKeyArray,
    momentum: float = 0.0,
) -> dict[str, StartEvidence]:
    """Draw every scheme and measure its starts, by name.

    All starts are read by one compiled program.

    Args:
        network: a traced network.
        schemes: that it admits.
        batch: images as the network reads them, with labels.
        make_optimizer: from a rate, which is traced, to an optimizer of optax.
        key: of the draws; each scheme has the same ones.
        momentum: as of `evidence_of`.

    Raises: UserError for fewer than four images, images of one class, or outputs that
        are no logits.

    Cost: of each draw 2 F + 2 B, 1 F for each of 11 rates, and up to 160 B; and one
        compilation.
    """
    labels = np.asarray(batch.labels)
    if len(labels) < _LEAST_IMAGES:
        raise UserError(
            f"a batch of {len(labels)} images tells no start from another; give at "
            f"least {_LEAST_IMAGES}, better 32"
        )
    readings = read_starts(network, schemes, batch, make_optimizer, key)
    part = kernel_part(labels, _outputs(network, batch))
    places = np.array(
        [part.classes.index(one) if one in part.classes else -1 for one in labels]
    )[: part.images]
    return {
        name: evidence_of(of_scheme, places, momentum)
        for name, of_scheme in readings.items()
    }


def read_starts(
    network: Network,
    schemes: Mapping[str, Scheme],
    batch: Batch,
    make_optimizer: Callable[[Any], optax.GradientTransformation],
    key: PRNGKeyArray,
) -> dict[str, dict[str, np.ndarray]]:
    """Read the raw numbers of every scheme's draws, `[draws, ...]` each.

    Args:
        network: as of `read_evidence`.
        schemes: as of `read_evidence`.
        batch: as of `read_evidence`.
        make_optimizer: as of `read_evidence`.
        key: as of `read_evidence`.

    Returns: by scheme and name.
    """
    labels = np.asarray(batch.labels)
    batch = batch._replace(images=jnp.asarray(batch.images))
    draw_key, probe_key = jax.random.split(key)
    keys = jax.random.split(draw_key, DRAWS)
    starts = [
        Subject(scheme(one, network, batch), network.model_state(jax.random.clone(one)))
        for scheme in schemes.values()
        for one in map(jax.random.clone, keys)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    instrument = start_instrument(
        make_optimizer, kernel_part(labels, _outputs(network, batch))
    )
    probe = ProbeBatch(batch.images, jnp.asarray(labels, jnp.int32), probe_key)
    found = take_measures({"start": instrument}, network, stacked, probe)["start"]
    parts = {name: np.split(values, len(schemes)) for name, values in found.items()}
    return {
        scheme: {name: part[place] for name, part in parts.items()}
        for place, scheme in enumerate(schemes)
    }


def _outputs(network: Network, batch: Batch) -> int:
    """Count the logits of a network.

    Raises: UserError for a result that is none.
    """
    images: Array = jnp.asarray(batch.images)
    state = jax.eval_shape(network.model_state, fixed_key(0))
    params = jax.eval_shape(network.own_init, fixed_key(0))
    shape = jax.eval_shape(
        lambda p, s: network.apply(p, s, images, train=True, key=fixed_key(0))[0],
        params,
        state,
    ).shape
    if len(shape) != 2 or shape[1] < 2:
        raise UserError(
            f"the network gives {shape}, and advice reads logits [n, classes] of at "
            "least two classes; name the output that holds them: output=NAME"
        )
    return shape[1]
