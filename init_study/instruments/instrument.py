"""What an instrument is, and how one is read on many members at once."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.errors import UserError
from init_study.network import ModelState, Network, Params
from init_study.train import cross_entropy

Reading = Mapping[str, Any]

# A pass outside training beside one inside, whose convolutions take the fastest form:
# back once, and twice or in small pieces. Measured of a plain and a residual CNN on two
# cores of a CPU: 1.4 to 6.4, and 2.9 to 15.
ONCE, TWICE = 5, 12


class Subject(NamedTuple):
    """A member, as an instrument sees it; stacked for many.

    Attributes:
        params: its parameters.
        state: of norms and the like.
        start: its parameters at step 0; None where they are `params`, as of a member
            that has not trained.
    """

    params: Params
    state: ModelState
    start: Params | None = None


class ProbeBatch(NamedTuple):
    """The batch that an instrument looks at, the same for all members.

    Attributes:
        images: as the network reads them.
        labels: of them, from 0 to K − 1.
        key: of dropout, and of what an instrument draws.
    """

    images: Float[Array, "n ..."]
    labels: Int[Array, " n"]
    key: PRNGKeyArray


class Instrument(NamedTuple):
    """A pure function of network, member and batch, with what one has to know of it.

    Attributes:
        what: it measures, in a line.
        formula: in the symbols of its source.
        units: of the numbers.
        cost: in passes of the batch through the network, F forwards and B backwards.
        source: a paper, or code.
        passes: the same beside training: in forward passes of one image as training
            makes them, a pass back as two; of a network, a number of images and a
            number of classes.
        measure: on the device; jitted, and mapped over members.
        finish: what is left to do on the host, on stacked numbers.
        from_start: whether it compares the member with its start.
        raw: numbers, or groups of them, that are for other computations alone.
    """

    what: str
    formula: str
    units: str
    cost: str
    source: str
    passes: Callable[[Network, int, int], float]
    measure: Callable[[Network, Subject, ProbeBatch], Reading]
    finish: Callable[[Reading, ProbeBatch], Reading] | None = None
    from_start: bool = False
    raw: tuple[str, ...] = ()


def take_measures(
    instruments: Mapping[str, Instrument],
    network: Network,
    subjects: Subject,
    batch: ProbeBatch,
) -> dict[str, dict[str, np.ndarray]]:
    """Read instruments on many members: by instrument, then by number.

    The members follow one another on the device, so that memory does not grow with
    their number, and each number is the same whatever the others are.

    Args:
        instruments: by name.
        network: of the members.
        subjects: stacked, `[members, ...]`; of several schemes alike.
        batch: the batch.

    Returns: arrays `[members, ...]`.

    Raises: UserError for a result that is no `[n, classes]`, which most need, or labels
        that it has no class for.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.instruments.table import INSTRUMENTS
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(4), (1, 1, 3))
        >>> weights = {"kernel": jnp.zeros((2, 3, 4)), "bias": jnp.zeros((2, 4))}
        >>> subjects = Subject({"Dense_0": weights}, {})
        >>> batch = ProbeBatch(jnp.ones((2, 1, 1, 3)), jnp.arange(2), jax.random.key(0))
        >>> chosen = {"logits": INSTRUMENTS["logits"]}
        >>> found = take_measures(chosen, network, subjects, batch)
        >>> np.exp(found["logits"]["loss"]).round(3).tolist()
        [4.0, 4.0]
    """
    check_logits(network, subjects, batch)

    # A program each: numbers of one instrument do not hang on which others are read.
    def measured(one: Instrument) -> Reading:
        @jax.jit
        def of_all(subjects: Subject, batch: ProbeBatch) -> Reading:
            def of_one(subject: Subject) -> Reading:
                # Every reading has the same dropout.
                key = jax.random.clone(batch.key)
                return one.measure(network, subject, batch._replace(key=key))

            return lax.map(of_one, subjects)

        again = batch._replace(key=jax.random.clone(batch.key))
        return jax.tree.map(np.asarray, of_all(subjects, again))

    # On a GPU, XLA rounds factors of float32 products to the ten bits of TF32 where
    # nothing else is asked for. This is part of the key of compiled functions.
    with jax.default_matmul_precision("float32"):
        found = {name: measured(one) for name, one in instruments.items()}
    return finish_all(instruments, found, batch)


def finish_all(
    instruments: Mapping[str, Instrument],
    found: Mapping[str, Reading],
    batch: ProbeBatch,
) -> dict[str, dict[str, np.ndarray]]:
    """Do on the host what is left to do with stacked measures of many members.

    Args:
        instruments: by name.
        found: what each of them measured, `[members, ...]`, on the host.
        batch: that it was measured on.
    """
    return {
        name: dict(one.finish(found[name], batch) if one.finish else found[name])
        for name, one in instruments.items()
    }


def member_logits(
    network: Network, subject: Subject, batch: ProbeBatch, params: Params
) -> Float[Array, "n classes"]:
    """Compute a member's logits at other parameters, in the training call.

    Args:
        network: of the member.
        subject: the member, whose state counts.
        batch: the batch.
        params: in the place of its own.
    """
    key = jax.random.clone(batch.key)
    return network.apply(params, subject.state, batch.images, train=True, key=key)[0]


def member_losses(
    network: Network, subject: Subject, batch: ProbeBatch, params: Params
) -> Float[Array, " n"]:
    """Compute a member's loss of each image at other parameters.

    Args:
        network: as of `member_logits`.
        subject: as of `member_logits`.
        batch: as of `member_logits`.
        params: as of `member_logits`.
    """
    return cross_entropy(member_logits(network, subject, batch, params), batch.labels)


def member_loss(
    network: Network, subject: Subject, batch: ProbeBatch
) -> Callable[[Params], Float[Array, ""]]:
    """Make the function from parameters to a member's mean loss of the batch.

    Args:
        network: as of `member_logits`.
        subject: as of `member_logits`.
        batch: as of `member_logits`.
    """
    return lambda params: member_losses(network, subject, batch, params).mean()


def check_logits(network: Network, subjects: Subject, batch: ProbeBatch) -> None:
    """Refuse a network or a batch that has no cross-entropy.

    Args:
        network: of the members.
        subjects: stacked members.
        batch: the batch.

    Raises: UserError.
    """
    one = jax.tree.map(lambda leaf: leaf[0], subjects)
    shape = jax.eval_shape(
        partial(member_logits, network, one, batch), one.params
    ).shape
    if len(shape) != 2:
        raise UserError(
            f"the network gives {shape}, and instruments read logits [n, classes]; "
            "name the output that holds them: output=NAME"
        )
    labels = np.asarray(batch.labels)
    if not len(labels) or labels.min() < 0 or labels.max() >= shape[1]:
        ends = f"{labels.min()} to {labels.max()}" if len(labels) else "nowhere"
        raise UserError(
            f"labels go from {ends}, and the network has {shape[1]} outputs; count "
            "classes from 0, and give at least one image"
        )
