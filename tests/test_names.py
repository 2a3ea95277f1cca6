"""Names that anybody may write: each stays in its folder, and shows as text."""

import ast
import os
import unicodedata
from pathlib import Path

import absl.logging
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_race import STUDY, Trainer

from init_study.answers.verdicts.protocol import Protocol
from init_study.cli.invocation import run_folder
from init_study.data.names import check_dataset_name
from init_study.data.sources.folder import plain_name
from init_study.errors import UserError
from init_study.printable import listed, printable
from init_study.race import race
from init_study.report.scalars import _file_names
from init_study.store.documents import read_document
from init_study.store.links import inside
from init_study.study import Study
from init_study.study.files import read_json

ODD = [
    *("", ".", "..", "../x", "../../etc/passwd", "/etc/passwd", "//x", "~", "~root"),
    *(
        "a/../../b",
        "a\\..\\b",
        "C:\\x",
        "CON",
        "nul",
        "LPT1.txt",
        "x ",
        "x.",
        " ",
        "-rf",
    ),
    *(
        "a\0b",
        "\0",
        "a\nb",
        "a\rb",
        "\x1b]0;x\x07",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\x9b2J",
    ),
    *("x" * 300, "é" * 300, "名" * 300, "\U00020000" * 300, "🎉" * 300, "🎉"),
    # A look-alike of a slash and of dots, and marks of direction.
    *("‥∕x", "․․／x", "a\u202egnp.exe", "\u200bx", "\u2066x", "\ufeffx"),
    *(
        "\udcff\udcfe",
        "a\ud800",
        "{0.__class__}",
        "%s%n",
        "$(touch x)",
        "`x`",
        "*",
        "?",
    ),
    *("a\u0301", "á", "ﬁ", "İ", "ß", "²", "١"),
]
texts = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(), max_size=400),
    st.text("./\\~ \0\n\x1b\u202e\udcffaé名🎉-_", max_size=400),
    st.lists(st.sampled_from(ODD), max_size=4).map("/".join),
)
many = settings(max_examples=300, deadline=None, database=None, derandomize=True)


def is_one_name(name: str) -> bool:
    """Whether Linux would take it for one file in the folder it is joined to."""
    fits = 0 < len(os.fsencode(name)) <= 255 and name not in (".", "..")
    return fits and "/" not in name and "\0" not in name


@given(texts, st.sampled_from(["", "-decided"]))
@many
def test_the_folder_of_a_run_lies_in_runs(text, ending):
    study = Study(name=text, schemes=("zeros",), learning_rates=(0.1,))
    folder = run_folder(study, ending)
    assert folder.parent == Path("runs") and is_one_name(folder.name)
    assert folder.name.isprintable()
    # Two studies that differ have two folders, whatever they are called.
    assert folder.name.endswith(f"-{study.hash[:8]}{ending}")


@given(texts)
@many
def test_what_is_prepared_lies_in_its_folder(text):
    name = f".folder.{plain_name(text)}-{'0' * 12}-own-r1-digests.lock"
    assert is_one_name(name) and name.isprintable()


@given(st.lists(texts, min_size=1, max_size=5, unique=True))
@many
def test_every_scheme_has_a_folder_of_its_own(schemes):
    names = _file_names(tuple(schemes))
    assert all(map(is_one_name, names.values()))
    assert len(set(names.values())) == len(schemes)


@given(texts)
@many
def test_a_name_from_a_file_is_one_or_is_refused(text):
    try:
        found = inside(Path("w"), text)
    except UserError as error:
        assert str(error).isprintable()
    else:
        assert found.parent == Path("w") and found.name == text
        assert text not in (".", "..") and not {"/", "\0"} & set(text)


@given(texts)
@many
def test_a_data_set_is_known_or_refused_in_one_line(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    try:
        check_dataset_name(text, str(folder / "nowhere"))
    except UserError as error:
        assert str(error).isprintable()
    else:
        base = text.partition(":")[0].partition("/")[0]
        assert base.isidentifier(), ascii(text)


@pytest.mark.parametrize("name", ["..", ".", "../x", "..:1.0.0", "./x"])
def test_a_data_set_is_not_looked_for_above_its_folder(tmp_path, name):
    (tmp_path / "tfds").mkdir()
    with pytest.raises(UserError):
        check_dataset_name(name, str(tmp_path / "tfds"))


@given(texts)
@many
def test_what_is_shown_is_seen(text):
    shown = printable(text)
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not unseen & {unicodedata.category(one) for one in shown}
    shown.encode("utf-8")
    assert "\n" not in shown and "\x1b" not in shown and "\u202e" not in shown
    assert printable(shown) == shown


def test_plain_texts_are_shown_as_they_are():
    for text in (
        "he_normal",
        "normal(0.02)",
        "80 % of 3 × 4 – “so”",
        "名前 🎉",
        "a\u0301",
    ):
        assert printable(text) == text
    assert printable("a\nb\tc", keep="\n\t") == "a\nb\tc"
    assert printable("a\nb") == r"a\nb"


def test_lists_are_cut_short():
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(25))).endswith("18, 19 and 5 more")
    assert len(listed(["x" * 10**6])) < 100


# What no folder can be called is another matter.
CALLED = [t for t in ODD if t.strip() and "\0" not in t and len(t) < 200]


@pytest.mark.parametrize("text", CALLED)
def test_what_the_launcher_says_of_a_name_is_one_line(call, text):
    for word, flag in (("run", "--study.schemes"), ("report", "--workdir")):
        code, out, err = call(word, f"{flag}={text}")
        assert code and not out, ascii(text)
        assert err.endswith("\n") and err[:-1].isprintable(), ascii(err)


def test_a_warning_of_a_hostile_name_is_text(call):
    call("list", "--json")
    logger = absl.logging.get_absl_logger()
    record = logger.makeRecord("", 30, "", 0, "%s is left out", ("\x1b]0;x\x07",), None)
    assert logger.filter(record)
    assert record.getMessage() == r"\x1b]0;x\x07 is left out"


def test_rates_that_agree_in_three_digits_have_stages_of_their_own(
    tmp_path, monkeypatch
):
    wanted = {0.94868: ("good",), 0.94894: ("near",), 0.9: ("bad",)}
    monkeypatch.setattr("init_study.race._beyond", lambda *args: wanted)
    trainer = Trainer()
    race(
        STUDY, tmp_path / "w", trainer, Protocol(margin=1.0, extensions=1), margin=0.02
    )
    names = [name for name, _ in trainer.stages if name.startswith("beyond")]
    # One of few digits has the name that it always had: a race that was begun goes on.
    assert names == ["beyond-1-0.94868", "beyond-1-0.94894", "beyond-1-0.9"]


@pytest.mark.parametrize("text", ["[" * 10**5, "9" * 5000, '{"seeds": ' + "9" * 5000])
def test_json_without_end_is_none(tmp_path, text):
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        read_document(tmp_path / "a.json")


def test_nothing_here_runs_what_it_reads():
    """No pickle, no text that is run, no shell, no archive that is unpacked whole."""
    root = Path(__file__).resolve().parents[1]
    files = [
        path
        for room in ("init_study", "benchmarks", "experiments")
        for path in (root / room).rglob("*.py")
    ]
    assert len(files) > 100
    # Written in two parts, lest this file be found.
    words = [
        *("import pick" + "le", "allow_pickle=" + "True", "import mar" + "shal"),
        *("yaml.lo" + "ad(", "shell=" + "True", "os.sys" + "tem(", "extract" + "all("),
        *(
            "import di" + "ll",
            "cloudpick" + "le",
            "joblib.lo" + "ad",
            "import she" + "lve",
        ),
        *("os.po" + "pen(", "np.loadtx" + "t(", "torch.lo" + "ad("),
    ]
    for path in [*files, root / "launch.py"]:
        text = path.read_text()
        found = [word for word in words if word in text]
        assert not found, f"{path}: {found}"
        # `ensure_compile_time_eval()` and a module's own `eval()` are other things.
        for call_of in ("eval", "exec", "compile"):
            assert not _calls(text, call_of), f"{path} calls {call_of}"


def _calls(text: str, name: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == name
        for node in ast.walk(ast.parse(text))
    )
