"""A study is data: it hashes, round-trips, and refuses what cannot be meant."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from init_study.errors import UserError
from init_study.study import Program, Study, field_types, parse_field
from init_study.study.files import differing_fields, read_json

STUDY = Study(
    schemes=("zeros", "he_normal"),
    learning_rates=(0.1, 0.3),
    seeds=(0, 1, 2),
    depth=(4, 8),
    norm=("none", "batch"),
)


def test_round_trip_keeps_study_and_hash():
    again = read_json(json.dumps(STUDY.to_dict()))
    assert again == STUDY
    assert again.hash == STUDY.hash
    assert hash(again) == hash(STUDY)


def test_hash_ignores_labels_and_sees_everything_else():
    assert STUDY.replace(name="other", question="why?").hash == STUDY.hash
    changes = {
        "schemes": ("zeros",),
        "learning_rates": (0.1,),
        "seeds": 4,
        "depth": (4,),
        "steps": 7,
        "momentum": 0.5,
        "chunk_width": 2,
    }
    hashes = {STUDY.replace(**{k: v}).hash for k, v in changes.items()}
    assert len(hashes | {STUDY.hash}) == len(changes) + 1


def test_a_field_that_came_later_changes_no_name_at_its_default():
    """Runs that began before it go on: these are their names and their hash."""
    assert Program().id == Program(output=None).id == "9e564a10ff0f"
    assert Program(precision=None).id == Program().id != Program(precision="tf32").id
    assert Program(depth=4, model="resnet").id == "ce870fa6d468"
    plain = Study(schemes="zeros", learning_rates=0.1)
    assert plain.hash.startswith("4e50cf2c9fa4d67056c094dd9a73c9d3")
    assert plain.replace(output="logits").hash != plain.hash
    assert Program(output="logits").id != Program().id
    assert plain.replace(output="logits").programs()[0].output == "logits"
    sized = STUDY.replace(image_size=(None, 64))
    assert sized.hash != STUDY.hash
    assert {p.id for p in STUDY.programs()} < {p.id for p in sized.programs()}


def test_programs_are_the_product_of_the_program_axes():
    pairs = [(p.depth, p.norm) for p in STUDY.programs()]
    assert pairs == [(4, "none"), (4, "batch"), (8, "none"), (8, "batch")]
    assert len({p.id for p in STUDY.programs()}) == 4
    assert STUDY.label(STUDY.programs()[1]) == "depth=4 norm=batch"


def test_members_are_the_product_of_the_member_axes():
    members = STUDY.members()
    assert len(members) == len({m.name for m in members}) == 2 * 2 * 3
    assert members[0].name == "zeros/lr=0.1/0"


def test_members_of_different_rates_have_different_names():
    rates = (0.1, 0.1000001, 1e-8, 1 / 3, 2e-05)
    study = Study(schemes="zeros", learning_rates=rates, seeds=2)
    names = [member.name for member in study.members()]
    assert len(set(names)) == len(study.members())
    texts = [name.split("/")[1].removeprefix("lr=") for name in names[::2]]
    assert [float(text) for text in texts] == list(rates)
    assert texts[0] == "0.1" and texts[-1] == "2e-05"


def test_scalars_lists_and_counts_become_tuples():
    study = Study(schemes="zeros", learning_rates=1, seeds=2, depth=[3])
    assert study.schemes == ("zeros",)
    assert study.learning_rates == (1.0,)
    assert study.seeds == (0, 1)
    assert study.depth == (3,)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"depth": np.int64(8)}, {"depth": 8}),
        (
            {"learning_rates": np.logspace(-3, -1, 3)},
            {"learning_rates": (0.001, 0.01, 0.1)},
        ),
        ({"learning_rates": np.float32([0.1, 0.3])}, {"learning_rates": (0.1, 0.3)}),
        ({"learning_rates": np.float32(0.1)}, {"learning_rates": 0.1}),
        ({"learning_rates": np.array(1)}, {"learning_rates": 1}),
        ({"learning_rates": jnp.array([0.1, 0.3])}, {"learning_rates": (0.1, 0.3)}),
        ({"depth": range(2, 5)}, {"depth": (2, 3, 4)}),
        ({"depth": np.arange(2, 5)}, {"depth": (2, 3, 4)}),
        ({"depth": [np.int8(2), None]}, {"depth": (2, None)}),
        ({"width": (n for n in (4, 8))}, {"width": (4, 8)}),
        ({"seeds": np.int64(3)}, {"seeds": (0, 1, 2)}),
        ({"seeds": range(5, 8)}, {"seeds": (5, 6, 7)}),
        ({"seeds": jnp.arange(3)}, {"seeds": (0, 1, 2)}),
        ({"schemes": np.array(["zeros", "torch"])}, {"schemes": ("zeros", "torch")}),
        ({"momentum": np.float32(0.9)}, {"momentum": 0.9}),
        ({"momentum": np.int32(0)}, {"momentum": 0.0}),
        ({"evaluations": np.uint8(3)}, {"evaluations": 3}),
        ({"evaluations": np.float64(3)}, None),
        ({"depth": np.bool_(True)}, None),
        ({"depth": np.array([[2, 3]])}, None),
        ({"depth": np.array([2.5])}, None),
        ({"depth": {2, 3}}, None),
        ({"depth": b"4"}, None),
    ],
)
def test_values_of_numpy_and_jax_are_the_plain_ones(given, plain):
    if plain is None:
        with pytest.raises(UserError, match=f"study.{next(iter(given))}: "):
            STUDY.replace(**given)
        return
    study, wanted = STUDY.replace(**given), STUDY.replace(**plain)
    assert study == wanted and study.hash == wanted.hash
    assert Study.from_dict(study.to_dict()) == study


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rates": (-0.1,)}, "-0.1"),
        ({"learning_rates": (float("nan"),)}, "nan"),
        ({"learning_rates": (float("inf"),)}, "inf"),
        ({"learning_rates": (0.1, 0.1)}, "twice"),
        ({"learning_rates": ("fast",)}, "fast"),
        ({"seeds": 0}, "seeds has no value"),
        ({"seeds": (-1,)}, "seeds=-1"),
        ({"depth": 0}, "depth=0"),
        ({"depth": 2.5}, "2.5"),
        ({"steps": 0}, "steps=0"),
        ({"batch_size": -3}, "batch_size=-3"),
        ({"evaluations": 0}, "evaluations=0"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"optimizer": "sdg"}, "'sgd'"),
        ({"schedule": "cosin"}, "'cosine'"),
        ({"steps": True}, "True"),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_line(change, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")) as caught:
        STUDY.replace(**change)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'depth'"):
        Study.from_dict({"depht": 3})
    with pytest.raises(UserError, match="not valid JSON"):
        read_json("{")


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("depth", "8", (8,)),
        ("depth", "4,8", (4, 8)),
        ("depth", "(4, 8)", (4, 8)),
        ("depth", "default", (None,)),
        ("norm", "none", ("none",)),
        ("learning_rates", "[0.1, 1e-3]", (0.1, 0.001)),
        ("schemes", "normal(0.02),zeros", ("normal(0.02)", "zeros")),
        ("schemes", "('variance_scaling(1, \"fan_in\")', 'zeros')", None),
        ("seeds", "3", 3),
        ("seeds", "3,", (3,)),
        ("seeds", "3,4", (3, 4)),
        ("momentum", "0.5", 0.5),
        ("chunk_width", "default", None),
        ("untuned_learning_rate", "0.1", 0.1),
        ("name", "a,b", "a,b"),
    ],
)
def test_fields_are_typed_from_text(field, text, value):
    if value is None and field == "schemes":
        value = ('variance_scaling(1, "fan_in")', "zeros")
    assert parse_field(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"), [("depth", "x"), ("learning_rates", "0.1,y"), ("steps", "1.5")]
)
def test_text_of_the_wrong_type_is_refused(field, text):
    with pytest.raises(UserError, match="is not a"):
        parse_field(field, text)


def test_every_field_has_a_type_that_text_can_give():
    for field in field_types():
        value = getattr(STUDY, field)
        several = value if isinstance(value, tuple) else (value,)
        text = ",".join("default" if one is None else str(one) for one in several)
        assert STUDY.replace(**{field: parse_field(field, text)}) == STUDY


@given(steps=st.integers(1, 500), evaluations=st.integers(1, 60))
def test_evaluations_are_distinct_and_end_with_the_last_step(steps, evaluations):
    stops = Program(steps=steps, evaluations=evaluations).evaluation_steps()
    assert list(stops) == sorted(set(stops))
    assert stops[-1] == steps
    assert stops[0] >= 1
    assert len(stops) == min(steps, evaluations)


def test_untuned_rate_is_the_nearest_in_ratio():
    rates = (0.001, 0.03, 0.4)
    assert STUDY.replace(learning_rates=rates).untuned("sgd") == 0.03
    assert STUDY.replace(learning_rates=rates).untuned("adam") == 0.001
    own = STUDY.replace(learning_rates=rates, untuned_learning_rate=1.0)
    assert own.untuned("sgd") == 0.4


def test_differing_fields_name_both_values():
    lines = differing_fields(STUDY, STUDY.replace(steps=7))
    assert lines == ["steps: [200] here, [7] there"]
