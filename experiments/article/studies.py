"""The studies that feed the article's claims: data, each of them shared by many claims.

On scikit-learn's 8×8 digits, which need no download, with plain 3×3 networks of width
16 where nothing else is said, SGD with momentum 0.9, batches of 32. The rules were
tried out on seeds 0 to 9; these are fresh ones, which no rule has seen. The quick
studies have others than the full ones, so that a quick look decides nothing there.
"""

from init_study.study import Study

# In accuracy: what does not matter, and what nobody would overlook.
MARGIN, CLEAR = 0.01, 0.05
# The article's Random: as in its own code, and Keras's default of the uniform law.
RANDOM = ("uniform(0.05)", "normal(0.02)")
# A start without chance, which trains: identities and Hadamard's matrix.
CHANCELESS = "zero_hadamard"
SCHEMES = (
    "zeros",
    "constant(0.05)",
    CHANCELESS,
    *RANDOM,
    "xavier_normal",
    "he_normal",
)
# Standard deviations: He's is 0.118 for a convolution of 16 by 16 channels.
STDS = (0.02, 0.06, 0.118, 0.24, 0.6)
NORMALS = tuple(f"normal({std:g})" for std in STDS)
# The same variances: of U(−a, a) it is a² / 3.
UNIFORMS = tuple(f"uniform({std * 3**0.5:.3g})" for std in STDS)
# Random draws of a size that suits the net, and of one that is five times as large.
SUITED = (UNIFORMS[2], NORMALS[2])
LARGE = (UNIFORMS[4], NORMALS[4])
# Half and twice Xavier's variance.
HALVED, DOUBLED = (f"variance_scaling({x}, 'fan_avg', 'normal')" for x in (0.5, 2.0))
_LAWS = ("uniform", "gaussian")
INPUTS = tuple(
    f"experiments.article.inputs:{name}"
    for name in ("PixelInputs", "BinaryInputs", "HeavyTailedInputs")
)
SIGNED, ONE_SIDED = (
    tuple(f"experiments.article.one_sided:{sides}_{law}" for law in _LAWS)
    for sides in ("signed", "one_sided")
)
_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)

FIRST_SEED, FIRST_QUICK_SEED = 300, 200


def _fresh(count: int, first: int = FIRST_SEED) -> tuple[int, ...]:
    return tuple(range(first, first + count))


_FULL = (
    Study(
        name="methods",
        question="Which of the article's methods train, in shallow and in deep nets?",
        schemes=SCHEMES,
        learning_rates=_RATES,
        seeds=_fresh(16),
        depth=(1, 4, 12),
        width=(16,),
        steps=(300,),
    ),
    Study(
        name="halves",
        question="Is Xavier's variance too large, or too small?",
        schemes=("xavier_normal", HALVED, DOUBLED),
        learning_rates=_RATES,
        seeds=_fresh(16),
        depth=(4, 12),
        width=(16,),
        steps=(300,),
    ),
    Study(
        name="bounded",
        question="How do zeros fare with sigmoid and tanh?",
        schemes=("zeros", "xavier_normal"),
        learning_rates=_RATES,
        seeds=_fresh(20),
        depth=(4,),
        width=(16,),
        activation=("tanh", "sigmoid"),
        steps=(300,),
    ),
    Study(
        name="variances",
        question="Which standard deviation suits a net, and does the law matter?",
        schemes=(*NORMALS, *UNIFORMS),
        learning_rates=_RATES,
        seeds=_fresh(30),
        depth=(4,),
        width=(16,),
        steps=(200,),
    ),
    Study(
        name="laws",
        question="Does the shape of a law matter, at the same variance?",
        schemes=("xavier_normal", "xavier_uniform", "xavier_truncated"),
        learning_rates=(0.01, 0.03, 0.1),
        seeds=_fresh(60),
        depth=(4,),
        width=(16,),
        steps=(300,),
    ),
    Study(
        name="means",
        question="How do signals grow if the mean of the draws is not zero?",
        schemes=("module",),
        learning_rates=(0.01,),
        seeds=_fresh(20),
        model=(*SIGNED, *ONE_SIDED),
        steps=(1,),
        evaluations=1,
    ),
    Study(
        name="early",
        question="Who oscillates in the first steps?",
        schemes=("zeros", CHANCELESS, *RANDOM, *SUITED, *LARGE, "xavier_normal"),
        learning_rates=(0.01, 0.1),
        seeds=_fresh(40),
        depth=(4,),
        width=(16,),
        activation=("relu", "tanh", "sigmoid"),
        steps=(60,),
        evaluations=60,
    ),
    Study(
        name="gradients",
        question="How far do gradients get in a deep net, by the size of its weights?",
        schemes=(*UNIFORMS[::2], *NORMALS[::2]),
        learning_rates=(0.01,),
        seeds=_fresh(60),
        depth=(12,),
        width=(16,),
        steps=(1,),
        evaluations=1,
    ),
    Study(
        name="convex",
        question="Where nothing has to break a symmetry: does it matter how one "
        "starts?",
        schemes=("zeros", "he_normal"),
        learning_rates=(0.003, 0.01, 0.03, 0.1),
        seeds=_fresh(20),
        model=("linear",),
        steps=(300,),
    ),
    Study(
        name="inputs",
        question="Does Xavier need inputs of a normal law?",
        schemes=("xavier_normal",),
        learning_rates=(0.01, 0.03, 0.1),
        seeds=_fresh(20),
        model=INPUTS,
        steps=(300,),
    ),
)
_QUICK = {
    "methods": 150,
    "halves": 150,
    "bounded": 150,
    "variances": 120,
    "laws": 200,
    "early": 40,
    "gradients": 1,
    "means": 1,
}


def studies(quick: bool) -> dict[str, Study]:
    """Collect the studies that the claims need, by name.

    The quick ones have fewer seeds, learning rates and steps, the same programs and
    schemes: the rules are the same, and what they decide is said of shorter runs.
    """
    if not quick:
        return {study.name: study for study in _FULL}
    return {study.name: _shorter(study) for study in _FULL}


def _shorter(study: Study) -> Study:
    steps = _QUICK.get(study.name, 100)
    return study.replace(
        seeds=_fresh(12 if study.name == "laws" else 10, FIRST_QUICK_SEED),
        learning_rates=tuple(r for r in study.learning_rates if r in (0.01, 0.1)),
        steps=(steps,),
        evaluations=min(study.evaluations, steps),
    )
