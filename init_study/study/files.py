"""Studies by name or file. A study's file is data: it defines `STUDY`."""

import ast
import importlib.util
import json
from pathlib import Path

from init_study.errors import UserError, unknown
from init_study.study import Study


def load_study(name_or_file: str, folder: Path) -> Study:
    """Load the study that a name in `folder`, a `.py` file or a `.json` file means.

    Args:
        name_or_file: the name of a study, or the path of a file.
        folder: of the named studies.

    Raises: UserError if there is none, or the file does not define one.

    Example:
        >>> text = '{"schemes": ["zeros"], "learning_rates": [0.1], "seeds": [0, 1]}'
        >>> _ = Path("mine.json").write_text(text)
        >>> load_study("mine.json", Path("studies")).seeds
        (0, 1)
    """
    path = Path(name_or_file)
    if path.suffix == ".json":
        return read_json(_read(path))
    if path.suffix != ".py":
        known = [p.stem for p in study_files(folder)]
        if name_or_file not in known:
            way_out = "python launch.py list --kind=studies"
            raise unknown("study", name_or_file, known, way_out)
        path = folder / f"{name_or_file}.py"
    _read(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"study {name_or_file}: {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    # The user's file runs here: whatever it raises is why it is no study.
    except Exception as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{path} does not define STUDY = init_study.Study(...)")
    return study


def study_files(folder: Path) -> list[Path]:
    """List the files in `folder` that hold a study."""
    return sorted(p for p in folder.glob("*.py") if p.stem != "__init__")


def describe_studies(folder: Path) -> dict[str, str]:
    """Find the question of each study: the first line of its file's docstring."""
    docs = {
        p.stem: ast.get_docstring(ast.parse(p.read_text("utf-8")))
        for p in study_files(folder)
    }
    return {name: (doc or "").partition("\n")[0] for name, doc in docs.items()}


def read_json(text: str) -> Study:
    """Read a study from JSON text, as `to_dict` gives it.

    Raises: UserError for what is no JSON object of a study's fields.

    Example:
        >>> read_json('{"schemes": "zeros", "learning_rates": 0.1, "seeds": 3}').seeds
        (0, 1, 2)
    """
    try:
        values = json.loads(text)
    # Digits or brackets without end are neither.
    except (ValueError, RecursionError) as error:
        raise UserError(f"the study is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError("the study is not a JSON object of fields and values")
    return Study.from_dict(values)


def differing_fields(ours: Study, theirs: Study) -> list[str]:
    """List the fields in which two studies differ, a line each.

    Example:
        >>> study = Study(schemes="zeros", learning_rates=0.1, steps=10)
        >>> differing_fields(study, study.replace(steps=20))
        ['steps: [10] here, [20] there']
    """
    a, b = ours.to_dict(), theirs.to_dict()
    return [f"{f}: {a[f]} here, {b[f]} there" for f in a if a[f] != b[f]]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"study file {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        place = f"byte {error.start}"
        raise UserError(f"study file {path} is no UTF-8 text: see {place}") from None
