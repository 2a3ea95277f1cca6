"""How a study is going to train, as an audit takes it."""

from init_study.diagnosis.seen import Training
from init_study.study import Program, Study


def training_of(study: Study, program: Program) -> Training:
    """Say how a program of a study is going to be trained.

    Args:
        study: that it is of.
        program: one of its programs.
    """
    return Training(optimizer=program.optimizer, learning_rates=study.grid)
