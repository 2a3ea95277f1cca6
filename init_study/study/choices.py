"""What a field of a study may say, where only some words mean something."""

OPTIMIZERS = {
    "sgd": "stochastic gradient descent with momentum",
    "adam": "Adam (Kingma & Ba 2015)",
    "adamw": "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
}
SCHEDULES = {
    "constant": "the learning rate as given",
    "cosine": "linear warm-up, then half a cosine down to zero",
}
FIXED = {
    "nothing": "every seed has its own draws and its own order of data",
    "init": "all seeds start from the draws of seed 0",
    "order": "all seeds see the data as seed 0 does",
}
PAIRINGS = {
    "every": "every scheme has every learning rate",
    "own": "each scheme has the learning rate that stands in its place",
}
FEEDS = {
    "resident": "the whole data set lies on every device",
    "mapped": "read as it goes from the prepared array on the disk",
    "decoded": "decoded as it goes from the pictures, which takes no room on the disk",
}
PRECISIONS = {
    "float32": "factors as they are, on every device",
    "tf32": "factors of 11 significant bits, sums of float32",
    "bfloat16": "factors of 8 significant bits, sums of float32",
}
# What one tries first without tuning, by optimizer: the usual textbook rates.
UNTUNED_LEARNING_RATES = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001}
