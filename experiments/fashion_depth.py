"""Does Xavier stall where He trains, as a plain ReLU network gets deeper?

He et al. 2015 (arXiv:1502.01852, figures 2 and 3): on ImageNet both train 22 layers,
and with 30 layers Xavier "completely stalls the learning". Here: real Fashion-MNIST,
plain 3×3 networks of 8 and 30 convolutions, a stem of two strided ones, each scheme at
its own best learning rate.

Command:  python launch.py --study=fashion_depth
Cost:     770 CPU seconds, after 20 s to prepare the data once.
Expected: both train at depth 8, He faster; at depth 30 only He leaves chance.
"""

from init_study.study import Study

STUDY = Study(
    name="fashion_depth",
    question="Does Xavier stall where He trains, as a plain ReLU network gets deeper?",
    schemes=("he_normal", "xavier_normal"),
    learning_rates=(0.003, 0.01, 0.03, 0.1),
    seeds=(0, 1, 2, 3, 4),
    dataset=("fashion_mnist",),
    model=("cnn",),
    depth=(8, 30),
    width=(16,),
    pooling=("stride",),
    batch_size=(64,),
    steps=(200,),
    evaluations=4,
)
