"""Does what can be seen before training, or in explanations, foretell how it ends?

The question of an introduction whether interpretability helps to choose how a net is
initialized. Plain CNNs of three depths on digits, from fourteen laws that range from
dead to exploding: all that instruments say of the untrained members (their signals,
gradients, Jacobians, tangent kernels, curvature, filters, saliency, maps of three kinds
of explanation), beside test accuracy, steps to a target and failure.

Command:  python launch.py --study=foretelling
Cost:     three minutes on 16 cores (n=1): one each of compiling, training, reading.
Page:     "What was known before", with rank correlations out of sample, corrected for
          the number of numbers; "Do explanations agree?" for each depth.
Expected: growth of signals and gradients from layer to layer foretells, by theory.
Measured: it does (failure: 0.80, 0.53 to 0.98; on other seeds 0.66, 0.26 to 0.87),
          explanations do not, and nothing tells the seeds of a scheme apart:
          docs/why/interpretability.md.
"""

from init_study.study import Study

STUDY = Study(
    name="foretelling",
    question="Does what one sees of an untrained net foretell how it ends?",
    schemes=(
        "he_normal",
        "xavier_normal",
        "flax",
        "torch",
        "orthogonal",
        "lsuv",
        "looks_linear",
        "sparse",
        "zero_head",
        "normal(0.02)",
        "normal(0.3)",
        "uniform(0.05)",
        "uniform(0.4)",
        "rademacher",
    ),
    learning_rates=(0.01, 0.05, 0.25),
    seeds=(0, 1, 2, 3, 4, 5),
    depth=(2, 4, 8),
    width=(8,),
    steps=(300,),
    evaluations=10,
    instruments=(
        "logits",
        "layers",
        "filters",
        "jacobian",
        "tangent_kernel",
        "hessian",
        "gradient_quotient",
        "first_steps",
        "gradients",
        "saliency",
        "explanations",
        "representations",
    ),
    readings=2,
)
