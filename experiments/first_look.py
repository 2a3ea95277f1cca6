"""Which of the well-known initializers suits a plain CNN, shallow and deep?

The methods that introductions list (zeros, uniform, Gaussian, Xavier) against He,
LeCun and the defaults of the frameworks, each at its own best learning rate.

Command:  python launch.py
Cost:     about two minutes on two CPU cores.
Expected: at depth 4 the width-aware laws train and are close to each other, and a
          fixed small scale costs steps; at depth 12 the laws that keep the scale of
          the signal through ReLU (He) are ahead; zeros never leave the class prior.
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
    seeds=3,
    fresh_seeds=15,
    dataset=("digits",),
    model=("cnn",),
    depth=(4, 12),
    width=(16,),
    batch_size=(32,),
    steps=(200,),
    evaluations=5,
)
