"""What the launcher can do: a file for each word, with a function `answer`.

    answer(invocation) -> Answer(document, text)

A word is imported when it is asked for: some need JAX, others answer at once.
"""

import importlib

from init_study.cli.invocation import Answer, Invocation


def answer(invocation: Invocation) -> Answer:
    """Do what the word of an invocation says.

    Raises: UserError for what the user can mend.
    """
    word = importlib.import_module(f"{__name__}.{invocation.word}")
    return word.answer(invocation)
