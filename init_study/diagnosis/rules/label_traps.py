"""Labels: whether they are some, fit the outputs, and how uneven classes are."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from scipy import special

from init_study.diagnosis.finding import BY_CHANCE, Sign, Trap
from init_study.diagnosis.seen import Seen

# Nats below ln K that are worth a bias: a twentieth of ln 10.
_WORTH = 0.1
# Below so many labels a class the chi-squared distribution does not hold (Cochran).
_A_CLASS = 5


def _unusable(seen: Seen) -> Iterator[Sign]:
    """Give labels that are no whole numbers from 0 on, one an image."""
    if seen.set_up.labels is None:
        return
    labels = np.asarray(seen.set_up.labels)
    said = f"labels are {labels.dtype} of shape {labels.shape}"
    wanted = "(wanted: whole numbers from 0 to K − 1, one an image)"
    is_integer = np.issubdtype(labels.dtype, np.integer)
    if labels.ndim > 1:
        one_hot = labels.ndim == 2 and np.all(np.sort(labels, 1)[:, :-1] == 0)
        cure = "labels.argmax(-1)" if one_hot else ""
        yield Sign("error", "labels", f"{said} {wanted}", cure)
    elif not is_integer and np.all(labels == np.round(labels)):
        yield Sign("error", "labels", f"{said} {wanted}", "labels.astype(int)")
    elif not is_integer:
        if seen.first.result.shape[1:] in ((), (1,)):
            yield Sign(
                "info",
                "labels",
                f"{said}, and there is one output: a regression, whose loss is not "
                "judged",
                "none is needed; only classes are judged",
            )
        else:
            share = np.mean(labels != np.round(labels))
            yield Sign("error", "labels", f"{said}, {share:.0%} between whole numbers")
    elif labels.size and labels.min() < 0:
        share = np.mean(labels < 0)
        yield Sign(
            "error",
            "labels",
            f"the least label is {labels.min()}, {share:.0%} are below 0 {wanted}",
        )


def _one_output(seen: Seen) -> Iterator[Sign]:
    result, labels = seen.first.result, _labels(seen)
    if result.ndim == 2 and result.shape[1] == 1 and labels is not None:
        yield Sign(
            "error",
            "outputs",
            f"1 output for {max(int(labels.max()) + 1, 1)} classes (wanted: one a "
            "class, at least 2)",
        )


def _too_few(seen: Seen) -> Iterator[Sign]:
    result, labels = seen.first.result, _labels(seen)
    if result.ndim != 2 or labels is None or result.shape[1] < 2:
        return
    least, most, outputs = int(labels.min()), int(labels.max()), result.shape[1]
    if most < outputs:
        return
    from_one = least == 1 and most == outputs
    yield Sign(
        "error",
        "outputs",
        f"{outputs} outputs, and labels from {least} to {most} (wanted: at most "
        f"{outputs - 1})",
        "labels - 1: they are counted from 1" if from_one else "",
    )


def _too_many(seen: Seen) -> Iterator[Sign]:
    """Give outputs above the highest label, where labels would have reached them."""
    result, labels = seen.first.result, _labels(seen)
    if not seen.judged or labels is None:
        return
    outputs, classes = result.shape[1], int(labels.max()) + 1
    if (classes / outputs) ** len(labels) < BY_CHANCE:
        yield Sign(
            "info",
            "outputs",
            f"{outputs} outputs, and no label of {len(labels)} is above {classes - 1} "
            f"(that is chance once in {outputs / classes:.3g}^{len(labels)})",
        )


def _no_rows(seen: Seen) -> Iterator[Sign]:
    result = seen.first.result
    if seen.set_up.labels is not None and result.ndim != 2:
        yield Sign(
            "info",
            "outputs",
            f"results are of shape {result.shape} (wanted: [n, classes]); losses are "
            "of noise",
        )


def _uneven(seen: Seen) -> Iterator[Sign]:
    """Give classes so uneven that a bias would lower the loss at the start."""
    labels = _labels(seen)
    if not seen.judged or labels is None:
        return
    classes, n = seen.first.result.shape[1], len(labels)
    counts = np.bincount(labels, minlength=classes)
    prior, uniform = float(np.sum(special.entr(counts / n))), float(np.log(classes))
    # A batch of even classes falls short of ln K by (K − 1) / 2n on average; the
    # likelihood ratio 2n (ln K − prior) has a chi-squared distribution.
    gain = uniform - prior - (classes - 1) / (2 * n)
    bound = float(special.chdtri(classes - 1, BY_CHANCE)) if classes > 1 else np.inf
    surely = n >= _A_CLASS * classes and 2 * n * (uniform - prior) > bound
    if surely and gain > _WORTH and float(seen.first.loss) - prior > _WORTH:
        yield Sign(
            "info",
            "labels",
            f"the most frequent class has {counts.max() / n:.0%} of {n} labels: who "
            f"knows the shares alone has a loss of {prior:.3g}, equal logits have "
            f"{uniform:.3g} (threshold: {_WORTH} nats apart); here it begins at "
            f"{float(seen.first.loss):.3g}",
        )


def _one_class(seen: Seen) -> Iterator[Sign]:
    labels = _labels(seen)
    if labels is None or len(labels) < 2 or len(np.unique(labels)) > 1:
        return
    result = seen.first.result
    classes = max(result.shape[1] if result.ndim == 2 else 2, 2)
    looks = any(step.needs != "nothing" for step in seen.set_up.refinements)
    if classes ** (1.0 - len(labels)) < BY_CHANCE:
        yield Sign(
            "warning" if looks else "info",
            "labels",
            f"all {len(labels)} labels are {labels[0]} (that is chance once in "
            f"{classes}^{len(labels) - 1})"
            + ("; the scheme looks at this batch" if looks else ""),
        )


def _labels(seen: Seen) -> Int[np.ndarray, " n"] | None:
    """Give labels that can count classes."""
    if seen.set_up.labels is None:
        return None
    labels = np.asarray(seen.set_up.labels)
    are_whole = np.issubdtype(labels.dtype, np.integer) and labels.ndim == 1
    # Unsigned ones would not stay whole where they are subtracted.
    good = are_whole and labels.size and labels.min() >= 0
    return labels.astype(np.int64) if good else None


LABEL_TRAPS = (
    Trap(
        "labels-unusable",
        "labels are not what a cross-entropy of classes reads",
        "The loss refuses them, or takes them for other classes than they mean: a "
        "label below 0 silently counts as no class, or from the end.",
        "leave those images out, or give labels from 0 to K − 1 as integers",
        "derived: the cross-entropy picks the logit of the label's number",
        _unusable,
    ),
    Trap(
        "one-output",
        "one output for several classes",
        "The softmax of a single logit is 1: the loss is 0 and nothing is learnt.",
        "as many outputs as classes, 2 for yes and no: nn.Dense(2)",
        "derived: softmax of one number is 1",
        _one_output,
    ),
    Trap(
        "too-few-outputs",
        "a label has no output",
        "The loss of such an image is not defined: it is NaN, or another class's.",
        "as many outputs as classes: nn.Dense(num_classes)",
        "derived: the cross-entropy picks the logit of the label's number",
        _too_few,
    ),
    Trap(
        "too-many-outputs",
        "outputs that no label asks for",
        "They take part in the softmax: the loss begins at the log of their number, "
        "and the first steps turn them off. Most often a head was left at another "
        "data set's classes.",
        "as many outputs as classes: nn.Dense(num_classes)",
        "derived: with all classes alike the highest seen falls below so many outputs "
        "with probability (seen / outputs)^n",
        _too_many,
    ),
    Trap(
        "results-no-rows",
        "results are not one row of logits an image",
        "Labels are not used; whatever is said of the loss is said of random sums of "
        "results.",
        "output='…' where a module gives several; else none is needed",
        "derived: a cross-entropy of classes reads [n, classes]",
        _no_rows,
    ),
    Trap(
        "uneven-classes",
        "classes are uneven, and nothing at the start says so",
        "The first steps learn the classes' shares, with the largest gradients of all; "
        "a bias would know them at once.",
        "scheme='prior_bias'",
        "Lin et al. 2017, arXiv:1708.02002, section 4.1",
        _uneven,
    ),
    Trap(
        "one-class-batch",
        "the batch has one class only",
        "Most often data are sorted. A scheme that looks at such a batch, and whatever "
        "is measured here, knows that class alone.",
        "shuffle before the batch is taken: order = rng.permutation(len(images))",
        "derived: n labels of K even classes agree with probability K^(1 − n)",
        _one_class,
    ),
)
