"""The article's code (its section 4), and what it does to a model.

The imports that it lacks are added, and a second layer for its dots. Run by `checks` in
a process of its own.

Prints: of each part, a number for every kernel: the share that is zero; the share that
changed when the initializers were set.
"""

import json

import keras
import numpy as np
from keras import Sequential
from keras.layers import Dense, Input

INPUT_DIM = 64


def build() -> Sequential:
    """Make the model of the article, with a second layer for its dots."""
    return Sequential(
        [Input((INPUT_DIM,)), Dense(512, activation="relu"), Dense(10, "softmax")]
    )


def kernels(model: Sequential) -> list[np.ndarray]:
    """Read the kernels of a model, layer by layer."""
    return [np.array(layer.kernel) for layer in model.layers]


def changed_by(initializer: keras.initializers.Initializer) -> list[float]:
    """Set initializers as the article does, and give what share of kernels changed."""
    model = build()
    model.build((None, INPUT_DIM))
    before = kernels(model)
    for layer in model.layers:
        if isinstance(layer, Dense):
            layer.kernel_initializer = initializer
    pairs = zip(before, kernels(model), strict=True)
    return [float(np.mean(a != b)) for a, b in pairs]


zeros = build()
zeros.compile(loss="categorical_crossentropy", optimizer="adam")
found = {
    "zeros": [float(np.mean(kernel == 0)) for kernel in kernels(zeros)],
    "random": changed_by(keras.initializers.RandomNormal(mean=0.0, stddev=0.02)),
    "glorot": changed_by(keras.initializers.GlorotUniform()),
}
print(json.dumps(found))
