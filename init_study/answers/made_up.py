"""A made-up run: records and a manifest without training, for examples."""

from typing import Any, NamedTuple

import pandas as pd

from init_study.study import Member, Study


class MadeUp(NamedTuple):
    """The files of a run that never was, as `store.load` and `read_manifest` give them.

    Attributes:
        records: accuracy of every member, on validation and test data.
        manifest: the study, and sizes and chance of its data set.
    """

    records: pd.DataFrame
    manifest: dict[str, Any]


def made_up_run(**axes: Any) -> MadeUp:
    """Make up a finished run of two schemes, two rates and five seeds.

    After two steps `he_normal` is at 70 to 74 % at the rate 0.1, and at 40 to 42 % at
    0.01; `zeros` stays at chance, 10 %.

    Args:
        axes: values of program axes of the study; each program comes out the same.

    Example:
        >>> records, manifest = made_up_run()
        >>> manifest["study"]["schemes"], len(records)
        (['he_normal', 'zeros'], 140)
    """
    study = Study(
        schemes=("he_normal", "zeros"),
        learning_rates=(0.01, 0.1),
        seeds=tuple(range(5)),
        **{"steps": 2, "evaluations": 2, **axes},
    )
    rows = [
        (program.id, m.scheme, m.learning_rate, m.seed, m.name, *measured)
        for program in study.programs()
        for m in study.members()
        for measured in _measured(m, program.steps)
    ]
    columns = "program scheme learning_rate seed member split step metric value"
    facts = {"validation": 100, "test": 100, "chance": 0.1}
    data = {program.data_name: facts for program in study.programs()}
    return MadeUp(
        pd.DataFrame(rows, columns=pd.Index(columns.split())),
        {
            "study": study.to_dict(),
            "data": data,
        },
    )


def _measured(member: Member, steps: int) -> list[tuple[str, int, str, float]]:
    found = [("train", steps, "diverged_step", float("nan"))]
    for step in (0, steps // 2, steps):
        share = step / steps * (1.0 if member.learning_rate == 0.1 else 0.5)
        gain = 0.6 + member.seed / 100 if member.scheme == "he_normal" else 0.0
        for split in ("validation", "test"):
            found.append((split, step, "accuracy", 0.1 + share * gain))
    return found
