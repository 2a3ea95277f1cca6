"""What vanishes, grows, or is alike for all images on its way forwards."""

from diagnosis.small_nets import RELU, SHIFTED, Chain, Residual
from diagnosis.twins import IMAGES, found, places

OF_SIGNALS = {
    "signal-vanishes",
    "signal-explodes",
    "layer-factor",
    "residual-growth",
    "image-blind",
}


def test_weights_that_are_too_small_let_the_signal_vanish():
    (sign,) = found(RELU, "normal(0.02)")["signal-vanishes"]
    assert sign.severity == "warning" and sign.place == "Dense_6"
    assert not OF_SIGNALS & set(found(RELU))


def test_weights_that_are_too_large_let_it_explode():
    (sign,) = found(RELU, "normal(1.0)")["signal-explodes"]
    assert sign.severity == "warning" and "threshold" in sign.evidence
    assert "signal-vanishes" not in found(RELU, "normal(1.0)")


def test_a_layer_tells_its_own_factor_where_depth_does_not():
    shallow = Chain(depth=2)
    one = found(shallow, "normal(0.1)")
    assert places(one["layer-factor"]) == ["Dense_1"]
    assert one["layer-factor"][0].severity == "info"
    assert "signal-vanishes" not in one
    # A half, as LeCun's law leaves it behind ReLU, is within what is wanted.
    assert "layer-factor" not in found(shallow, "lecun_normal")


def test_a_small_head_and_large_pixels_are_no_trap():
    assert not OF_SIGNALS & set(found(RELU, "small_head"))
    assert not OF_SIGNALS & set(found(RELU, "zero_head"))
    assert not OF_SIGNALS & set(found(RELU, images=100 * IMAGES))


def test_branches_without_a_norm_double_the_signal():
    (sign,) = found(Residual())["residual-growth"]
    assert sign.severity == "warning" and sign.place == "10 residual branches"
    for scheme in ("zero_branch", "fixup(scalars=False)"):
        assert not OF_SIGNALS & set(found(Residual(), scheme))


def test_large_biases_make_all_images_alike():
    (sign,) = found(SHIFTED, "module")["image-blind"]
    assert sign.place == "Dense_3"
    assert "image-blind" not in found(SHIFTED.clone(bias=0.0), "module")
    # Images that are alike themselves are no layer's fault.
    assert "image-blind" not in found(RELU, images=1 + 1e-3 * IMAGES)
