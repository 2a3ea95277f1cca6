"""One table of flags: every word takes its own, and says what is wrong with others."""

import importlib
import re

import pytest

from init_study.cli.command_line import read_command_line
from init_study.cli.flag_values import flag_values
from init_study.cli.invocation import make_invocation
from init_study.cli.options import BY_NAME, OPTIONS, WORDS, options_of
from init_study.errors import UserError
from init_study.study import field_types


@pytest.mark.parametrize("word", WORDS)
def test_help_shows_the_flags_of_the_word_and_no_others(word, call):
    for words in ((word, "--help"), ("-h", word), (word, "--nonsense=1", "--help")):
        code, out, err = call(*words)
        if "--nonsense=1" in words:
            assert code == 64 and "unknown flag --nonsense" in err
            continue
        assert code == 0 and err == ""
        shown = re.findall(r"^  --(?:\[no\])?([\w.]+)", out, re.MULTILINE)
        assert set(shown) == set(options_of(word)) and len(set(shown)) == len(shown)


def test_help_shows_the_words(call):
    code, out, err = call("--help")
    assert code == 0 and err == ""
    assert re.findall(r"^  (\w+)  ", out, re.MULTILINE) == list(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_a_file_with_an_answer(word):
    module = importlib.import_module(f"init_study.cli.words.{word}")
    assert callable(module.answer) and module.__doc__


def test_the_table_names_words_and_flags_that_exist():
    for option in BY_NAME.values():
        assert option.words and set(option.words) <= set(WORDS)
        assert option.help.endswith(".")
        for other in filter(None, (option.needs, *option.against)):
            assert set(BY_NAME[other].words) & set(option.words)
    assert len(BY_NAME) == len(OPTIONS) + len(field_types())


@pytest.mark.parametrize("word", WORDS)
def test_the_flags_of_a_word_are_absls(word):
    values = flag_values(word)
    values(["", *(["--study.depth=4"] if "study.depth" in values else [])])
    assert set(values) == set(options_of(word))


def test_a_flag_may_be_written_with_dashes():
    line = read_command_line(["audit", "--fail-on=error", "--cache-dir", "c", "--json"])
    assert line.values.fail_on == "error" and line.values.cache_dir == "c"
    assert read_command_line(["run", "--accept-drift"]).values.accept_drift
    assert not read_command_line(["run", "--noaccept-drift"]).values.accept_drift
    fresh = read_command_line(["run", "--study.fresh-seeds=2"]).values
    assert fresh["study.fresh_seeds"].value == "2"
    with pytest.raises(UserError, match="given twice"):
        read_command_line(["run", "--accept-drift", "--accept_drift"])
    with pytest.raises(UserError, match="unknown flag --accept-drifts"):
        read_command_line(["run", "--accept-drifts"])


SEEN = {
    "rnu": "unknown word 'rnu'. Did you mean 'run'?",
    "run twice": "'twice' is one word too many",
    "run -- --json": "'--json' is one word too many",
    "-- run": "'run' is one word too many",
    "--study.depht=3": "unknown flag --study.depht. Did you mean --study.depth?",
    "status --detph 4": "unknown flag --detph. Did you mean --study.depth?",
    "run --depth 4": "Did you mean --study.depth?",
    "run --nonsense": "unknown flag --nonsense. All flags of run: ",
    "run --seed=3": "Did you mean --study.seeds?",
    "run --explain": "--explain of run is called --spectra now",
    "run --work=w": "--work is short for --workdir; write it in full",
    "run --study.sche=w": "--study.schemes or --study.schedule; write it in full",
    "run --json --nojson": "--json is given twice, --json and --nojson",
    "run --study.depth=4 --study.depth 5": (
        "--study.depth is given twice, --study.depth=4 and --study.depth 5"
    ),
    "run --workdir": "--workdir has no value",
    "run --workdir --json": "--workdir has no value",
    "run --only=he_by_depth": (
        "run does not take --only (published does); the nearest flag of run is"
    ),
    "show --study.schemes=torch": "the nearest flag of show is --scheme;",
    "show --study.steps=3": "show does not take --study.steps (run, plan, tune, ",
    "show --study.model=lenet --model=cnn": "leave out --model or --study.model",
    "list --study=first_look": "list does not take --study (run, ",
    "list --noquick": "list does not take --quick (claims does)",
    "claims --study.depth=4": "claims does not take --study.depth",
    "run --tensorboard --until=decided": "leave out --tensorboard or --until",
    "run --budget=20m": "--budget is of --until=decided and has no effect without",
    "run --margin=1": "--margin is of --until=decided",
    "run --looks=5,10": "--looks is of --until=decided",
    "plan --looks=5,10": "--looks is of --until=decided",
    "plan --budget=5m --until=decided": "plan does not take --budget (run does)",
    "run --until=later": "should be one of <decided>",
    "run --until=decided --study.seeds=3": "leave out --study.seeds or --until",
    "plan --until=decided --study.seeds=3": "leave out --study.seeds or --until",
    "run --until=decided --study.fresh_seeds=3": "leave out --study.fresh_seeds or --u",
    "run --until=decided --budget=20x": "write 90s, 20m or 2h",
    "run --until=decided --looks=5,some": "not whole numbers",
    "plan --until=decided --looks=9,5": "not rising numbers",
    "run --until=decided --margin=none": "--margin=none",
    "run --checkpoint_every=-1": "--checkpoint_every=-1",
    "run --json=perhaps": "--json",
    "report --figures=gif": "--figures=gif",
    "list --kind=model": "Did you mean 'models'",
    "export": "export needs --to",
    "export --to=records.xls": "name a .csv or .parquet file",
    "published --only=he_by_dept": "Did you mean 'he_by_depth'",
    "--study=firstlook": "Did you mean 'first_look'",
    "--study=none.json": "No such file",
    "--study.depth=0": "study.depth=0 is too small",
    "--study.depth=deep": "is not a whole number",
    "--study.learning_rates=-0.1": "-0.1 is not a positive",
    "--study.learning_rates=nan": "nan is not a positive",
    "--study.seeds=0": "seeds has no value",
    "--study.seeds=3,2147483648": "the largest is 2147483647",
    "--study.seeds=2147483640,7 --study.fresh_seeds=9": "fresh seeds included",
    "status --workdir=nowhere": "nowhere holds no run",
    "status --until=decided --workdir=full": "full holds no race; leave out --until",
    "report --watch --workdir=nowhere": "holds no run",
    "report --figures=pdf --workdir=nowhere": "holds no run",
    "report --workdir=a_file": "holds no run",
    "plan --study.dataset=digit": "unknown data set 'digit'. Did you mean 'digits'",
    "show --study.dataset=cfar10": "Did you mean 'cifar10'",
    "plan --study.dataset=/": "unknown data set '/'",
}
# These are found by what plans a run.
PLANNED = {
    "--study.schemes=he_norml": "Did you mean 'he_normal'",
    "--study.model=cnnn": "Did you mean 'cnn'",
    "--study.model=nowhere:Net": "does not import",
    "--study.augmentation=flap": "Did you mean 'flip'",
    "--study.batch_size=100000": "batch_size=100000",
    "--study.model=lenet": "use model=cnn, or --study.image_size=16",
    "audit --study.model=vgg16": "use model=vgg11_small, or --study.image_size=32",
    "plan --study.model=vgg_stages --study.depth=4": "or --study.image_size=16",
    "plan --study.model=unet": "padding='same', or --study.image_size=188",
    "show --study.model=linear --study.width=3": "say --study.width=default",
    "show --study=fashion_depth --study.dataset=digits --model=lenet": "16×16",
    "--workdir=a_file": "is a file",
    "--workdir=full": "other files",
    "--execution=winogrand/1": "Did you mean 'winograd'",
    "plan --until=decided --looks=5,1000000": "last of looks=1000000 is too large",
    "run --checkpoint_every=nan": "--checkpoint_every=nan is not a finite number",
    "run --checkpoint_every=inf": "--checkpoint_every=inf is not a finite number",
    "gain --q=0": "q=0.0 is not",
    "gain --activation=rely": "Did you mean 'relu'",
    "run --until=decided --margin=0": "margin=0.0",
    "run --until=decided --study.schemes=he_normal": "two at least",
    "claims --workdir=full": "other files",
}


@pytest.mark.parametrize(("words", "said"), [*SEEN.items(), *PLANNED.items()])
def test_what_cannot_be_is_one_line_and_nothing_is_written(words, said, call, tmp_path):
    (tmp_path / "a_file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call(*words.split())
    assert code == (73 if said in ("is a file", "other files") else 64)
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("word", [w for w in WORDS if "study.model" in options_of(w)])
def test_another_model_than_that_of_the_default_study_is_that_model(word):
    def study_of(*flags):
        values = read_command_line([word, *flags]).values
        return make_invocation(word, values, ["launch.py"]).the_study()

    assert study_of().depth == study_of("--study.model=cnn").depth == (4, 12)
    other = study_of("--study.model=resnet18,lenet", "--study.norm=none")
    assert other.model == ("resnet18", "lenet")
    assert (other.depth, other.width, other.norm) == ((None,), (None,), ("none",))
    named = study_of("--study=first_look", "--study.model=resnet18")
    assert named.depth == (4, 12)


def test_flags_stand_before_and_after_the_word(call):
    lists = [
        call("list", "--json", "--kind=models"),
        call("--json", "--kind", "models", "list"),
        call("--kind=models", "list", "-json=true"),
    ]
    assert lists[0][0] == 0 and lists[0] == lists[1] == lists[2]
    plain = call("list", "--nojson", "--kind=models")
    assert plain[0] == 0 and plain[1].startswith("models\n")
