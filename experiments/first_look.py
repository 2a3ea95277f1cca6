"""Which of the well-known initializers suits a plain CNN, shallow and deep?

The methods that introductions list (zeros, uniform, Gaussian, Xavier) against He,
LeCun and the defaults of the frameworks, each at its own best learning rate. Three
seeds choose the rates; of each scheme that learned fifteen fresh ones are compared.

Command:  python launch.py
Cost:     about two minutes on two CPU cores.
Expected: at depth 4 He and Flax's default come first and are not told apart, LeCun,
          Xavier and the defaults of Keras and PyTorch are behind; at depth 12 He alone
          learns, not in every run. Zeros and the two fixed scales never leave the
          class prior.
"""

from init_study.study import Study

STUDY = Study(
    name="first_look",
    question="Which initializer suits a plain CNN, shallow and deep?",
    schemes=(
        "zeros",
        "uniform(0.05)",
        "normal(0.02)",
        "xavier_normal",
        "xavier_uniform",
        "he_normal",
        "he_uniform",
        "lecun_normal",
        "flax",
        "torch",
        "keras",
    ),
    learning_rates=(0.003, 0.01, 0.03, 0.1, 0.3),
    seeds=(0, 1, 2),
    fresh_seeds=15,
    dataset=("digits",),
    model=("cnn",),
    depth=(4, 12),
    width=(16,),
    batch_size=(32,),
    steps=(200,),
    evaluations=5,
)
