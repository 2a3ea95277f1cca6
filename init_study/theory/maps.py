"""What a layer of a wide random net does to variance and correlation.

Weights are independent with variance σ_w² / fan_in and biases with variance σ_b²; q is
the variance of the pre-activations, c the correlation of those of two inputs.
References: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
arXiv:1611.01232.
"""

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name
from init_study.theory.moments import (
    derivative_moment,
    mean,
    second_moment,
    weighted_moment,
)
from init_study.theory.pairs import pair_moments


def q_map(
    phi: Activation | str, q: float, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> float:
    """Compute the variance after the next layer, σ_w² E[φ(√q z)²] + σ_b².

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.

    Example:
        >>> round(q_map("relu", q=3.0, sigma_w2=2.0, sigma_b2=0.5), 6)  # q + 0.5
        3.5
    """
    check_variances(sigma_w2, sigma_b2)
    return sigma_w2 * second_moment(phi, q) + sigma_b2


def q_slope(phi: Activation | str, q: float, sigma_w2: float = 1.0) -> float:
    """Compute the derivative of `q_map` by q, σ_w² E[(z² − 1) φ(√q z)²] / 2q.

    By Stein's lemma it is σ_w² (E[φ'²] + E[φ φ'']), without need of φ''.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.
        sigma_w2: σ_w², the variance of weights times fan_in.

    Raises: UserError if one of both moments does not exist.

    Example:
        >>> round(q_slope("relu", q=3.0, sigma_w2=2.0), 6)
        1.0
    """
    check_variances(sigma_w2, 0.0)
    return sigma_w2 * (weighted_moment(phi, q) - second_moment(phi, q)) / (2 * q)


def c_map(
    phi: Activation | str,
    c: float,
    q: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> float:
    """Compute the correlation after the next layer, (σ_w² E[φ(x) φ(y)] + σ_b²) / q_map.

    x and y are normal with variance q and correlation c. At c = 0 without bias it is
    E[φ]² / E[φ²].

    Args:
        phi: a function, or a name that `find_activation` knows.
        c: the correlation of two inputs' pre-activations.
        q: the variance of pre-activations.
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.

    Raises: UserError if c is not in [−1, 1] or the activation is zero throughout.

    Example:
        >>> round(c_map("relu", c=0.0), 4)  # 1 / π
        0.3183
    """
    variance = q_map(phi, q, sigma_w2, sigma_b2)
    product = mean(phi, q) ** 2 if c == 0 else pair_moments(phi, c, q)[0]
    if variance == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} is zero at q={q:g}: there is no "
            "correlation"
        )
    return (sigma_w2 * product + sigma_b2) / variance


def chi1(phi: Activation | str, sigma_w2: float, q: float = 1.0) -> float:
    """Compute χ1 = σ_w² E[φ'(√q z)²]: the growth of a gradient's mean square per layer.

    At a fixed point q it is also the slope of `c_map` at c = 1: above 1, two almost
    equal inputs drift apart (chaos); below 1, all inputs become alike (order).

    Args:
        phi: a function, or a name that `find_activation` knows.
        sigma_w2: σ_w², the variance of weights times fan_in.
        q: the variance of pre-activations.

    Example:
        >>> round(chi1("relu", sigma_w2=2.0), 6)
        1.0
    """
    check_variances(sigma_w2, 0.0)
    return sigma_w2 * derivative_moment(phi, q)


def check_variances(sigma_w2: float, sigma_b2: float) -> None:
    """Check that both variances are finite and not negative.

    Raises: UserError with the value that is not.
    """
    check_number("sigma_w2", sigma_w2, least=0)
    check_number("sigma_b2", sigma_b2, least=0)
