"""Zeros that never move, those that do, and what nothing depends on."""

import flax.linen as nn
from diagnosis.twins import found, places


class Plain(nn.Module):
    """Two convolutions and a head; one more layer that is called for nothing."""

    spare: bool = False

    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = x.mean((1, 2))
        if self.spare:
            nn.Dense(3, name="spare")(x)
        return nn.Dense(3)(x)


def test_zeros_in_series_never_move_and_a_zero_head_does():
    stuck = found(Plain(), "zeros")
    assert places(stuck["never-moves"]) == [
        "Conv_0/kernel",
        "Conv_1/kernel",
        "Dense_0/kernel",
    ]
    assert {one.severity for one in stuck["never-moves"]} == {"error"}
    head = found(Plain(), "zero_head")
    assert "never-moves" not in head
    assert places(head["starts-at-zero"]) == ["Dense_0/kernel"]
    assert head["starts-at-zero"][0].severity == "info"
    assert not {"never-moves", "starts-at-zero"} & set(found(Plain()))


def test_a_layer_whose_result_is_thrown_away_is_unused():
    assert places(found(Plain(spare=True))["unused-parameter"]) == [
        "spare/bias",
        "spare/kernel",
    ]
    assert "unused-parameter" not in found(Plain())
