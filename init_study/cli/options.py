"""Every word and every flag of the launcher, once: name, type, default, help, words.

To add a flag is to add a row to `OPTIONS`; to add a word is to add a row to `WORDS`, in
`word_list`, and a file to `words/`.
"""

import typing
from typing import Any

from init_study.cli.host_options import OF_HOSTS
from init_study.cli.option import Option
from init_study.cli.word_list import WORDS
from init_study.study import field_types

_TRAIN = ("run", "claims", "published", "advise")
_READ = ("status", "report", "export", "repair")
# What `show` draws depends on these fields of a study and on no other.
_SHOWN = (
    *("dataset", "image_size", "model", "depth", "width", "activation", "norm"),
    *("pooling", "padding", "branches", "batch_size", "output"),
)
_OF_STUDY = ("run", "plan", "tune", *_READ, "audit", "advise", "show")
_PLANS = ("run", "plan", "tune", "claims", "published", "audit", "advise", "show")

OPTIONS: tuple[Option, ...] = (
    Option("study", _OF_STUDY, "A name in experiments/, or a file.", str, "first_look"),
    Option(
        "workdir",
        ("run", "plan", *_READ, "claims", "published", "advise"),
        "Folder of the run; by default runs/NAME-HASH of the study.",
    ),
    Option(
        "until",
        ("run", "plan", *_READ),
        "Screen, then spend fresh seeds until a verdict.",
        choices=("decided",),
    ),
    Option(
        "budget",
        ("run",),
        "Time for it, e.g. 20m, 2h, 90s; by default no limit.",
        needs="until",
    ),
    Option(
        "order",
        ("run",),
        "Stage by stage in turns, or each program decided before the next.",
        default="turns",
        choices=("turns", "first"),
        needs="until",
    ),
    *OF_HOSTS,
    Option(
        "margin",
        ("run", "plan"),
        "Points below which a difference does not matter; by default 0.5, or half the "
        "standard error of one test accuracy if that is more.",
        float,
        needs="until",
    ),
    Option(
        "looks",
        ("run", "plan"),
        "Numbers of fresh seeds at which to look.",
        list,
        ["5", "10", "20"],
        needs="until",
    ),
    Option(
        "execution",
        ("run", "plan", "claims", "published", "advise"),
        "How members run, FORM/WIDTH: winograd/1, blocked/4, xla/16, ...; by default "
        "what `tune` would take, if the run is long enough to find out.",
    ),
    Option(
        "checkpoint_every",
        _TRAIN,
        "Seconds between two checkpoints, at least; by default 30, or more where "
        "saving would cost more than 3 % of the time.",
        float,
        None,
        least=0.0,
    ),
    Option(
        "tensorboard",
        ("run",),
        "Write event files into WORKDIR/tensorboard as records come.",
        *(bool, False),
        against={"until": "event files are of a single run"},
    ),
    Option(
        "spectra",
        ("run",),
        "Before the first step, measure the spectra of Jacobian and Hessian and "
        "predict the signals of every layer.",
        *(bool, False),
        formerly="explain",
    ),
    Option(
        "deterministic",
        (*_TRAIN, "plan", "tune", "audit"),
        "On a GPU, only kernels that give the same bits each time; they are slower.",
        *(bool, False),
    ),
    Option(
        "accept_drift",
        _TRAIN,
        "Go on with a run that was begun under other versions or settings of JAX and "
        "its like, which may give other bits.",
        *(bool, False),
    ),
    Option("quick", ("claims",), "Fewer seeds and steps, the same rules.", bool, False),
    Option("only", ("published",), "One of the results in experiments/published/."),
    Option(
        "figures",
        ("report",),
        "Write every figure into WORKDIR/figures, too.",
        choices=("pdf", "svg", "png"),
    ),
    Option(
        "watch",
        ("report",),
        "Draw it again as records come, until the run is done.",
        *(bool, False),
    ),
    Option(
        "to",
        ("export",),
        "The file to write, .csv or .parquet; with --member a new folder.",
    ),
    Option(
        "member",
        ("export",),
        "A trained member, e.g. he_normal/lr=0.1/3: its variables as an Orbax "
        "checkpoint.",
    ),
    Option(
        "program",
        ("export",),
        "Of --member: which program, e.g. depth=4, where there are several.",
        needs="member",
    ),
    Option("kind", ("list",), "One kind only, e.g. models."),
    Option("dataset", ("data",), "Has this data set here; without it all are listed."),
    Option(
        "image_size",
        ("data",),
        "Height and width that its pictures are brought to.",
        int,
        needs="dataset",
    ),
    Option(
        "mirror",
        ("data",),
        "Where its published files can be had as well: an address that begins with "
        "https://, or a folder; each is verified.",
        needs="dataset",
    ),
    Option(
        "strict",
        ("data",),
        "Refuse a set with a picture that cannot be read, which is else left out.",
        *(bool, False),
        needs="dataset",
    ),
    Option(
        "check",
        ("data",),
        "Read all that is here, or all of --dataset, and verify every checksum.",
        *(bool, False),
        against={
            "image_size": "all sizes are checked",
            "mirror": "a check downloads nothing",
            "strict": "a check reads what is prepared, not pictures",
        },
    ),
    Option(
        "scheme",
        ("show", "audit"),
        "The scheme; by default he_normal to show, and to audit all of the study.",
        against={"study.schemes": "it names the schemes, too"},
    ),
    Option(
        "fail_on",
        ("audit",),
        "Exit with 1 where a finding is as grave as this.",
        choices=("warning", "error"),
    ),
    Option(
        "verify",
        ("advise",),
        "Time for a race of the advice against the field, e.g. 20m; by default none.",
        against={"settings": "it races settings of its own"},
    ),
    Option(
        "settings",
        ("advise",),
        "Race the settings on which advice is measured, in this folder, and write "
        "their table to it: settings.parquet.",
    ),
    Option("leaves", ("audit",), "List each parameter's rule and law.", bool, False),
    Option("page", ("audit",), "A new file, .html, to write the findings to."),
    Option(
        "rule",
        _OF_STUDY,
        "PATH=SCHEME for single parameters, in every scheme, as Conv_0/kernel=zeros; "
        "a star in PATH stands for any letters; may be given several times.",
        tuple,
        (),
    ),
    Option(
        "rest",
        _OF_STUDY,
        "What becomes of parameters that a scheme has no rule for.",
        default="refuse",
        choices=("refuse", "module"),
    ),
    Option(
        "model",
        ("show", "audit", "advise"),
        "A model, or module:NAME of your own; by default the study's.",
        against={"study.model": "it names the model, too"},
    ),
    Option("activation", ("gain",), "A name, or module:function; by default all."),
    Option("q", ("gain",), "Variance of the pre-activations.", float, 1.0),
    Option("bias_variance", ("gain",), "σ_b² to show the edge of chaos at.", float),
    Option("data_dir", (*_PLANS, "data"), "Where TFDS keeps its data sets."),
    Option(
        "cache_dir",
        _PLANS,
        "Where compiled programs are kept between runs, by default "
        "~/.cache/init_study; empty to keep none.",
    ),
    Option(
        "verbosity",
        _PLANS,
        "What is said on the way: -2 errors, -1 warnings and progress, 0 more.",
        int,
        -1,
    ),
    Option("json", tuple(WORDS), "Print one JSON document only.", bool, False),
)


def _field_option(field: str, kind: Any) -> Option:
    several = typing.get_origin(kind) is tuple
    against = {}
    if field in ("seeds", "fresh_seeds"):
        against = {"until": "--until=decided spends seeds as needed"}
    return Option(
        f"study.{field}",
        _OF_STUDY if field in _SHOWN else _OF_STUDY[:-1],
        f"Sets {field} of the study{', several with commas' if several else ''}.",
        against=against,
    )


FIELD_OPTIONS = tuple(_field_option(*field) for field in field_types().items())
BY_NAME = {option.name: option for option in (*OPTIONS, *FIELD_OPTIONS)}


def options_of(word: str) -> dict[str, Option]:
    """Find the flags that a word takes, by name."""
    return {name: one for name, one in BY_NAME.items() if word in one.words}
