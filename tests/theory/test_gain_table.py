"""What `launch.py gain` says of activations."""

import doctest
import json
from functools import partial
from pathlib import Path

import jax
import pytest
from calling import launch

from init_study.activations import ACTIVATIONS
from init_study.theory import chi1, derivative_moment, gain, mean, second_moment
from init_study.theory.gain_table import gain_overview, gain_rows, gain_sentence

DOCS = Path(__file__).resolve().parents[2] / "docs" / "why" / "theory.md"

# E[φ²], its inverse, gain, E[φ'²], χ1, mean and c(0), as found by others with a
# trapezoid of 4·10⁵ nodes; the last digit is rounded. For leaky_relu it gave .50004 as
# E[φ'²], which is (1 + 0.01²) / 2.
TABLE = {
    "linear": "1 1 1 1 1 0 0",
    "relu": ".5 2 1.4142 .5 1 .3989 .3183",
    "leaky_relu": ".50005 1.9998 1.4141 .50005 1 .3950 .3119",
    partial(jax.nn.leaky_relu, negative_slope=0.2): (
        ".52 1.9231 1.3868 .52 1 .3192 .1959"
    ),
    "elu": ".6449 1.5505 1.2452 .6681 1.0359 .1605 .0400",
    "selu": "1 1 1 1.0716 1.0716 0 0",
    "gelu_exact": ".4252 2.3517 1.5335 .4559 1.0720 .2821 .1871",
    "silu": ".3558 2.8108 1.6765 .3795 1.0666 .2066 .1200",
    "tanh": ".3943 2.5362 1.5925 .4644 1.1778 0 0",
    "erf": ".4646 2.1526 1.4672 .5694 1.2257 0 0",
    "sigmoid": ".2934 3.4086 1.8462 .0448 .1528 .5 .8521",
    "softplus": ".9212 1.0855 1.0419 .2934 .3185 .8061 .7053",
}


@pytest.mark.parametrize("phi", TABLE)
def test_the_constants_of_the_table(phi):
    second, scale = second_moment(phi), gain(phi) ** 2
    found = [second, scale, gain(phi), derivative_moment(phi), chi1(phi, scale)]
    found += [mean(phi), mean(phi) ** 2 / second]
    for value, text in zip(found, TABLE[phi].split(), strict=True):
        digits = len(text.partition(".")[2]) or 4
        assert value == pytest.approx(float(text), abs=0.51 * 10**-digits)


def test_the_overview_says_what_it_means():
    said = {name: gain_sentence(gain_overview(name)) for name in ACTIVATIONS}
    assert "gradients keep their size" in said["relu"]
    assert "gradients grow by 1.072" in said["selu"]
    assert "drifts further off" in said["gelu"]
    assert "drifts further off" not in said["relu"] + said["tanh"]
    assert "gradients shrink to 0.1528" in said["sigmoid"]
    assert "No bias mends" in said["softplus"]
    rows = gain_rows(gain_overview("softplus"))
    assert [r["value"] for r in rows if r["name"] == "edge_of_chaos"] == ["none"]
    step = gain_overview("jax.numpy:sign")
    assert step["chi1"] is None and "nothing is known" in gain_sentence(step)


@pytest.fixture
def printed(call):
    return lambda *words: call(*words)[1]


def test_a_users_own_function_at_the_command_line(tmp_path):
    (tmp_path / "own.py").write_text("def f(x):\n    return 3 * x\n")
    code, out, err = launch("gain", "--activation=own:f", "--json", cwd=tmp_path)
    assert code == 0, err
    found = json.loads(out)
    wanted = "gain scale mean second_moment derivative_moment chi1 c0 "
    wanted += "critical_sigma_w2 edge_of_chaos"
    assert set(wanted.split()) <= set(found)
    assert found["gain"] == pytest.approx(1 / 3)
    assert found["edge_of_chaos"] == pytest.approx({"sigma_w2": 1 / 9, "sigma_b2": 0})


def test_one_activation_is_a_table_and_a_sentence(printed):
    out = printed("gain", "--activation=tanh")
    assert "1.59254" in out and "grow by 1.178" in out
    at_four = json.loads(printed("gain", "--activation=relu", "--q=4", "--json"))
    assert at_four["second_moment"] == pytest.approx(2.0) and at_four["q"] == 4


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("jnp.sqrt(jnp.abs(x))", "its derivative is inf at x=0"),
        ("jnp.round(8 * x) / 8", "it jumps at x="),
        ("jnp.sqrt(x * x)", "its derivative is nan at x=0"),
    ],
)
def test_what_has_no_slope_moment_is_said_and_the_rest_is_printed(
    body, reason, tmp_path, monkeypatch, call
):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"rough{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(
        f"import jax.numpy as jnp\n\n\ndef f(x):\n    return {body}\n"
    )
    said = call("gain", f"--activation={name}:f")[1]
    (line,) = (line for line in said.splitlines() if reason in line)
    assert line.startswith(f"activation '{name}:f' has no E[φ'²] at q=1")
    assert "variance-preserving, but nothing is known of gradients" in said
    found = json.loads(call("gain", f"--activation={name}:f", "--json")[1])
    assert found["chi1"] is found["derivative_moment"] is found["edge_of_chaos"] is None
    assert found["gain"] > 0.5 and found["q_slope"] > 0
    assert reason in found["missing"]["derivative_moment"]


def test_what_grows_almost_too_fast_has_all_its_numbers(tmp_path, monkeypatch, call):
    monkeypatch.syspath_prepend(tmp_path)
    text = "import jax.numpy as jnp\n\n\ndef f(x):\n    return jnp.exp(0.24 * x * x)\n"
    (tmp_path / "growing.py").write_text(text)
    assert "28.8" in call("gain", "--activation=growing:f")[1]
    found = json.loads(call("gain", "--activation=growing:f", "--json")[1])
    assert found["second_moment"] == pytest.approx(5)
    # χ1 and the slope at the scale 1 / E[φ²].
    assert found["chi1"] == pytest.approx(28.8 / 5)
    assert found["q_slope"] == pytest.approx(60 / 5)


def test_the_examples_of_the_page():
    failed, tried = doctest.testfile(str(DOCS), module_relative=False)
    assert tried > 5 and failed == 0


def test_the_page_shows_what_the_command_prints(printed):
    assert f"$ python launch.py gain\n{printed('gain')}```" in DOCS.read_text()
    assert [row["activation"] for row in json.loads(printed("gain", "--json"))] == list(
        ACTIVATIONS
    )
