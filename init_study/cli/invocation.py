"""One call of the launcher: what it is about, where its files lie, how to repeat it."""

import dataclasses
import shlex
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from init_study.cli import shipped
from init_study.data.names import check_dataset_name
from init_study.study import Study, parse_field
from init_study.study.files import load_study
from init_study.study.program import MODEL_FIELDS

if TYPE_CHECKING:
    from init_study.plan import Plan

_FIELD = "study."


class Answer(NamedTuple):
    """What a word has to say.

    Attributes:
        document: for `--json`; None if there is no answer yet.
        text: for a reader.
        notes: lines beside the answer, for standard error.
        exit_code: of the process.
    """

    document: object
    text: str
    notes: tuple[str, ...] = ()
    exit_code: int = 0


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One call of the launcher.

    Attributes:
        word: what to do.
        flags: the values of the flags that the word takes.
        command: how to do the same again.
        study: with the fields that flags set; None for a word that takes no study.
        workdir: the folder that is named, or the study's own; None if neither.
    """

    word: str
    flags: flags.FlagValues
    command: str
    study: Study | None
    workdir: Path | None

    def is_given(self, flag: str) -> bool:
        """Whether the flag is on the command line, not at its default."""
        return flag in self.flags and bool(self.flags[flag].present)

    def the_study(self) -> Study:
        """Return the study of a word that takes one."""
        assert self.study is not None, f"{self.word} takes no study"
        return self.study

    def the_workdir(self) -> Path:
        """Return the folder of a word that takes a study."""
        assert self.workdir is not None, f"{self.word} has no folder"
        return self.workdir

    def make_plan(self, study: Study) -> "Plan":
        """Resolve a study with this call's data folder, cache and execution.

        Raises: UserError for the first thing that cannot run.
        """
        # JAX takes seconds, which a word that needs no plan shall not wait for.
        from init_study.engine.devices import compiled_folder, prepare_jax
        from init_study.execution import parse_execution
        from init_study.plan import make_plan

        bits = "deterministic" in self.flags and self.flags.deterministic
        prepare_jax(compiled_folder(self.flags.cache_dir), deterministic=bits)
        text = self.flags.execution if "execution" in self.flags else None
        execution = parse_execution(text) if text else None
        return make_plan(study, self.flags.data_dir, execution)


def make_invocation(
    word: str, values: flags.FlagValues, argv: Sequence[str]
) -> Invocation:
    """Read the study that the flags name or change, and find its folder.

    Args:
        word: in `options.WORDS`.
        values: of `command_line.read_command_line`.
        argv: as of `sys.argv`.

    Raises: UserError for a study or data set that is not there, or a field that cannot
        be meant.
    """
    study = _study(values) if "study" in values else None
    # Before the word is imported, and JAX with it.
    for name in study.dataset if study and "data_dir" in values else ():
        check_dataset_name(name, values["data_dir"].value)
    command = f"{program_name(argv[0])} {shlex.join(argv[1:])}".strip()
    return Invocation(word, values, command, study, _workdir(values, study))


def program_name(path: str) -> str:
    """How the launcher was called: `python launch.py`, `python -m init_study`, ..."""
    if Path(path).name == "__main__.py":
        return "python -m init_study"
    if path.endswith(".py"):
        return shlex.join(["python", path])
    return shlex.quote(Path(path).name)


def given_fields(values: flags.FlagValues) -> dict[str, str]:
    """Collect the texts of the study's fields that flags set, by field."""
    return {
        name.removeprefix(_FIELD): str(values[name].value)
        for name in values
        if name.startswith(_FIELD) and values[name].present
    }


def _study(values: flags.FlagValues) -> Study:
    study = load_study(str(values["study"].value), shipped.folder())
    given = {f: parse_field(f, text) for f, text in given_fields(values).items()}
    # Who names no study has not asked for the depths of the default one's model.
    asked = given.get("model", study.model)
    if not values["study"].present and asked != study.model:
        study = _on_models(study, asked, given)
    study = study.replace(**given)
    return study.replace(schemes=tuple(ruled(one, values) for one in study.schemes))


def _on_models(study: Study, models: tuple[str, ...], given: Container[str]) -> Study:
    """Put other models into a study, without what it sets on its own one.

    Args:
        study: of another model.
        models: their names.
        given: the fields that were asked for as well, and stay.
    """
    free = [field for field in MODEL_FIELDS if field not in given]
    return study.replace(model=models, **dict.fromkeys(free, (None,)))


def ruled(scheme: str, values: flags.FlagValues) -> str:
    """Put the rules of the flags before those of a scheme: the text of both together.

    Args:
        scheme: its text.
        values: of `command_line.read_command_line`.
    """
    rules, rest = values["rule"].value or [], values["rest"].value
    if not rules and rest == "refuse":
        return scheme
    others = [f"others={rest!r}"] if rest != "refuse" else []
    return f"by_rule({', '.join([*map(repr, rules), f'rest={scheme!r}', *others])})"


def asked_study(invocation: Invocation, scheme: str | None) -> Study:
    """Put what `--model` and `--scheme` name into a study.

    What a study sets on its own model is not meant for another one.

    Args:
        invocation: of a word that takes `--model`.
        scheme: its text; None for those of the study.
    """
    study, model = invocation.the_study(), invocation.flags.model
    if model is not None:
        given = [f for f in MODEL_FIELDS if invocation.is_given(f"study.{f}")]
        study = _on_models(study, (model,), given)
    if scheme is not None:
        study = study.replace(schemes=(ruled(scheme, invocation.flags),))
    return study


def _workdir(values: flags.FlagValues, study: Study | None) -> Path | None:
    if "workdir" not in values:
        return None
    if values["workdir"].value:
        return Path(values["workdir"].value)
    if study is None:
        return None
    decided = "until" in values and values["until"].value
    return run_folder(study, "-decided" if decided else "")


def run_folder(study: Study, ending: str = "") -> Path:
    """Name the folder of a study's run by its name and by what it is.

    Args:
        study: whose name may be any text.
        ending: behind it.

    Example:
        >>> study = Study(name="../mine", schemes="zeros", learning_rates=0.1)
        >>> run_folder(study).as_posix()
        'runs/___mine-...'
    """
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in study.name)[:80]
    rest = f"-{study.hash[:8]}{ending}"
    # A letter takes up to four bytes, and a name of a file 255.
    name = name.encode()[: 255 - len(rest)].decode("utf-8", "ignore")
    return Path("runs") / f"{name}{rest}"
