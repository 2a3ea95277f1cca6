"""With torchvision's weights, our nets compute what torchvision's compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.models import build_model

# The fast siblings are the counts in `test_parameter_counts.py`.
pytestmark = pytest.mark.slow


def randomized(torch, name):
    """Torchvision's net with its own draws, and norms that are not the identity."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    how = {"init_weights": False} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(weights=None, **how).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net


def variables_of(torch, net, pooled):
    """Flax's variables: in both, parts are numbered in the order of definition.

    `pooled` is the size of the map that the first dense layer reads by channels, rows
    and columns; ours reads rows, columns and channels. Auxiliary heads are left out.
    """
    params, averages, counts = {}, {}, {}
    kinds = {
        torch.nn.Conv2d: "Conv",
        torch.nn.Linear: "Dense",
        torch.nn.BatchNorm2d: "BatchNorm",
    }
    for path, module in net.named_modules():
        kind = kinds.get(type(module))
        if kind is None or path.startswith("aux"):
            continue
        number = counts[kind] = counts.get(kind, -1) + 1
        weight = module.weight.detach().numpy()
        if kind == "BatchNorm":
            weights = {"scale": weight}
            averages[f"{kind}_{number}"] = {
                "mean": jnp.asarray(module.running_mean.numpy()),
                "var": jnp.asarray(module.running_var.numpy()),
            }
        elif kind == "Conv":
            weights = {"kernel": weight.transpose(2, 3, 1, 0)}
        else:
            size = pooled if number == 0 else 1
            maps = weight.reshape(len(weight), -1, size, size).transpose(2, 3, 1, 0)
            weights = {"kernel": maps.reshape(-1, len(weight))}
        if module.bias is not None:
            weights["bias"] = module.bias.detach().numpy()
        params[f"{kind}_{number}"] = {k: jnp.asarray(v) for k, v in weights.items()}
    return {"params": params, **({"batch_stats": averages} if averages else {})}


@pytest.mark.parametrize(
    ("name", "theirs", "pixels", "pooled"),
    [
        ("resnet18", "resnet18", 64, 1),
        # A map of 3×3 pixels is averaged to one of 7×7.
        ("vgg11", "vgg11", 96, 7),
        ("alexnet_torchvision", "alexnet", 224, 6),
        ("googlenet_torchvision", "googlenet", 100, 1),
    ],
)
def test_the_same_weights_give_the_same_logits(name, theirs, pixels, pooled):
    torch = pytest.importorskip("torch")
    net = randomized(torch, theirs)
    variables = variables_of(torch, net, pooled)
    draw = np.random.default_rng(0)
    images = draw.normal(size=(2, pixels, pixels, 3)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    logits = build_model(name, 1000, {}).apply(variables, jnp.asarray(images))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * scale)


def test_in_training_auxiliary_heads_give_the_same_logits_too():
    torch = pytest.importorskip("torch")
    net = randomized(torch, "googlenet").train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    variables = variables_of(torch, net, 1)
    for number, head in ((1, net.aux1), (2, net.aux2)):
        for kind, leaves in variables_of(torch, head, 4).items():
            variables[kind][f"auxiliary{number}"] = leaves
    images = np.random.default_rng(0).normal(size=(4, 96, 96, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    arguments = {"dropout": 0.0, "auxiliary_dropout": 0.0}
    model = build_model("googlenet_torchvision", 1000, arguments)
    keys, kept = {"dropout": jax.random.key(0)}, ["batch_stats"]
    ours, _ = model.apply(variables, jnp.asarray(images), True, rngs=keys, mutable=kept)
    for logits, expected in zip(
        ours,
        (theirs.logits, theirs.aux_logits1, theirs.aux_logits2),
        strict=True,
    ):
        scale = float(expected.abs().max())
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * scale)
