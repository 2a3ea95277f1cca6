"""One file that opens anywhere, shows every scheme, and is the same every time."""

import base64
import html.parser
import io
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from calling import finish

import init_study
from init_study import store
from init_study.answers import Interval, compare_runs
from init_study.answers.columns import format_columns
from init_study.errors import UserError
from init_study.report import export_figures, write_report
from init_study.report.figures import differences_forest
from init_study.report.palette import scheme_styles
from init_study.report.program_figures import strip_figure
from init_study.report.svg import spread, to_markup
from init_study.store.lines import append_line, first_sum
from init_study.study import Study

SCHEMES = ("zeros", "normal(0.02)", "he_normal", "torch")
VOID = {"meta", "br", "link", "img", "hr", "input"}


def make_study(**changes):
    fields = {"name": "look", "question": "Which one?", "schemes": SCHEMES}
    fields |= {"learning_rates": (0.01, 0.1, 1.0), "depth": (2, 4), "steps": 20}
    return Study(**fields | changes)


def make_run(folder, study, unfinished=(), command="python launch.py", **optional):
    """A run on disk with numbers from a seeded generator; zeros stays at chance, and
    some members diverge at the largest rate."""
    programs = study.programs()
    data = {"train": 1000, "validation": 300, "test": 400, "num_classes": 10}
    data |= {"chance": 0.1, "checksums": {}}
    manifest = {"study": study.to_dict(), "data": {"digits": data}}
    store.write_manifest(folder, manifest | {"command": command} | optional)
    recorder, rng = store.Recorder(folder), np.random.default_rng(0)
    members = study.members()
    quality = np.array([0.1 + 0.28 * SCHEMES.index(m.scheme) for m in members])
    died = np.array([m.learning_rate == 1.0 and m.seed == 1 for m in members])
    for i, program in enumerate(programs):
        for step in (0, *program.evaluation_steps()):
            share = step / program.steps
            if i in unfinished and share > 0.5:
                break
            noise = 0.01 * rng.normal(size=len(members))
            accuracy = np.maximum(0.1 + share * (quality - 0.1) + noise, 0)
            values = {"validation/accuracy": accuracy, "validation/loss": 2 - accuracy}
            if step:
                values["train/loss"] = np.where(died, np.nan, 2 - accuracy)
            if step == program.steps:
                values["test/accuracy"] = accuracy
                values["train/diverged_step"] = np.where(died, 3.0, np.nan)
            arrays = {n: np.asarray(v, np.float32) for n, v in values.items()}
            recorder.append(program, step, arrays)
    return folder


class Page(html.parser.HTMLParser):
    """Tags, their attributes and the text of a page; every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = [], [], "", []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        # White space between tags is the template's, not the page's.
        if self._open and self._open[-1] != "style" and data.strip():
            self.text += data + "\n"


@pytest.fixture(scope="module")
def page_text(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("run"), make_study())
    return write_report(folder).read_text()


def test_the_page_is_well_formed_and_names_every_scheme_everywhere(page_text):
    page = Page(page_text)
    # Two of the five figures of a program have a second drawing; one is of all.
    assert page.tags.count("figcaption") == 2 * 5 + 1
    assert page.tags.count("svg") == 2 * 7 + 1
    for scheme in SCHEMES:
        # Two tables and five figures for each of two programs.
        assert page.text.count(scheme) >= 2 * 6
    for words in ("Which one?", "torch comes first", "depth=2", "depth=4", "stuck"):
        assert words in page.text


def test_the_page_says_what_tuning_is_worth(page_text):
    text = Page(page_text).text
    assert text.count("What tuning is worth") == 2
    rates = len(make_study().learning_rates)
    for words in ("rates that will do", "best of 1, %", f"best of {rates}, %"):
        assert text.count(words) == 2
    assert len(re.findall(r"Steps to [0-9.]+ %".replace(" ", r"\s"), text)) == 2
    # A scheme that learned nothing has no such rates.
    assert re.search(r"zeros\n–", text)


def test_the_page_looks_over_all_programs(page_text):
    text = Page(page_text).text
    assert "Over 2 programs" in text and "mean rank" in text
    assert "A test over programs takes 5 of them" in text


def test_the_page_loads_nothing(page_text):
    assert "http:" not in page_text and "https:" not in page_text
    page = Page(page_text)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on") and name not in ("src", "srcset", "action")
        within = ("#", "data:text/csv;base64,", "data:image/png;base64,")
        assert name not in ("href", "xlink:href") or value.startswith(within)
    assert "@import" not in page_text and not re.search(r"url\((?!#)", page_text)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("http-equiv", "Content-Security-Policy") in page.attributes
    assert ("content", policy) in page.attributes


def test_ids_are_unique_and_every_reference_has_its_target(page_text):
    ids = [value for name, value in Page(page_text).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    references = re.findall(r"""(?:href=["']|url\()#([\w-]+)""", page_text)
    assert references and set(references) <= set(ids)


def test_the_same_records_give_the_same_bytes(tmp_path, page_text):
    folder = make_run(tmp_path, make_study())
    assert write_report(folder).read_text() == page_text
    assert write_report(folder).read_text() == page_text


def test_another_drawing_style_of_the_machine_changes_nothing(tmp_path, page_text):
    import matplotlib

    folder = make_run(tmp_path, make_study())
    with matplotlib.rc_context({"font.size": 30, "xtick.direction": "in"}):
        assert write_report(folder).read_text() == page_text
        assert matplotlib.rcParams["font.size"] == 30


def test_what_users_write_is_text(tmp_path):
    odd = "<script>alert('x')</script></title> & $\\frac$ --> \"q\""
    study = make_study(name=odd, question=odd, model=odd, depth=2)
    folder = make_run(tmp_path, study, command=odd)
    page = Page(write_report(folder).read_text())
    assert "script" not in page.tags
    assert page.text.count(odd) >= 5
    labels = [value for name, value in page.attributes if name == "aria-label"]
    tables = {"The comparison, scheme by scheme", "Names and values", "Table"}
    drawn = [label for label in labels if odd in label]
    # A drawing is named after its program, a table by words of the page's own.
    assert len(drawn) == 7
    assert all(odd in label or not {*"<>$"} & {*label} for label in labels), tables


def test_scheme_names_are_text_in_tables_and_figures(tmp_path, monkeypatch):
    odd = ("<b>&amp;$x_", "_he", "x--y", "$\\frac$")
    monkeypatch.setattr(f"{__name__}.SCHEMES", odd)
    folder = make_run(tmp_path, make_study(schemes=odd))
    page = Page(write_report(folder).read_text())
    for scheme in odd:
        assert page.text.count(scheme) >= 2 * 6


@pytest.mark.parametrize("unfinished", [(1,), (0, 1)])
def test_a_partial_run_says_what_is_missing(tmp_path, unfinished):
    folder = make_run(tmp_path, make_study(), unfinished=unfinished)
    page = Page(write_report(folder).read_text())
    assert page.text.count("no answer yet, it is at step 10 of 20") == len(unfinished)
    assert page.tags.count("svg") == 7 * (2 - len(unfinished))


def test_a_program_that_has_not_begun_is_named(tmp_path):
    make_run(tmp_path, make_study())
    path, first = tmp_path / store.RECORDS, make_study().programs()[0].id
    lines = store.read_lines(tmp_path, store.RECORDS)
    path.unlink()
    ended = first_sum(store.RECORDS, None)
    for line in lines:
        if line["program"] == first:
            ended = append_line(path, line, ended)
    page = Page(write_report(tmp_path).read_text())
    assert "depth=4: no answer yet, it has not begun" in page.text


def test_a_folder_without_a_run_is_an_error_and_gets_no_page(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 1},
        {"seeds": 2},
        {"learning_rates": 0.1},
        {"learning_rates": 1.0, "seeds": (1,)},  # every member has diverged
        {"schemes": ("torch",)},
        {"schemes": ("zeros",)},
    ],
)
def test_small_studies_render(tmp_path, changes, recwarn):
    page = Page(write_report(make_run(tmp_path, make_study(**changes))).read_text())
    assert not re.search(r"\bnan\b", page.text.lower()) and not recwarn.list
    few = len(make_study(**changes).seeds) < 3
    assert ("without a band" in page.text) == few
    assert not few or "interval holds zero" not in page.text


def test_provenance_is_shown(tmp_path):
    session = {"started": "2020-02-02T02:02:02+00:00", "seconds": 12.0}
    session |= {"member_steps": 3456, "member_steps_per_second": 288.0}
    folder = make_run(
        tmp_path,
        make_study(),
        command="python launch.py run --study=look",
        study_hash="5a" * 32,
        versions={"jax": "1.2.3"},
        devices=["2 × gpu"],
        repeats_bits=False,
        git={"commit": "c0ffee", "dirty": True},
        sessions=[session],
    )
    text = Page(write_report(folder).read_text()).text
    for words in ("--study=look", "5a" * 32, "1.2.3", "2 × gpu", "3,456", "288"):
        assert words in text
    assert "may differ from run to run: without --deterministic" in text
    assert "c0ffee with uncommitted changes" in text and session["started"] in text


def test_the_page_of_a_large_study_stays_small(tmp_path):
    many = tuple(f"normal(0.{i})" for i in range(1, 12))
    study = make_study(schemes=many, learning_rates=(0.01, 0.03, 0.1, 0.3, 1.0))
    study = study.replace(steps=200)
    manifest = {"study": study.to_dict()}
    data = {"validation": 300, "test": 400, "chance": 0.1, "checksums": {}}
    store.write_manifest(tmp_path, manifest | {"data": {"digits": data}})
    recorder, rng = store.Recorder(tmp_path), np.random.default_rng(0)
    metrics = ("validation/accuracy", "train/loss", "test/accuracy")
    for program in study.programs():
        for step in (0, *program.evaluation_steps()):
            values = {m: rng.random(len(study.members())) for m in metrics}
            recorder.append(program, step, values)
    assert write_report(tmp_path).stat().st_size < 2_000_000


def test_an_interval_shows_where_it_is_though_its_mean_is_beyond_the_scale():
    near, far = Interval(-0.01, -0.02, 0.0, 5), Interval(-0.46, -0.92, -0.005, 5)
    first, *others = SCHEMES
    rows = [
        (first, None),
        *((scheme, near) for scheme in others[:-1]),
        (others[-1], far),
    ]
    styles = scheme_styles(SCHEMES)
    drawn = to_markup(differences_forest("cnn", rows, "the candidate", styles, "name"))

    def line(row):
        colour = styles[row[0]].colour
        path = r'd="M ([\d.]+) [\d.]+\s+L ([\d.]+) [\d.]+\s+"'
        (ends,) = re.findall(rf"{path}[^>]*stroke: {colour}[^>]*1.8", drawn)
        return [float(x) for x in ends]

    (near_left, near_right), (far_left, far_right) = line(rows[1]), line(rows[-1])
    assert far_left < near_left < far_right < near_right


def test_labels_are_moved_apart_and_no_further():
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    places = spread([0.5, 0.5, 0.1, 1.0, 0.99], 0.1)
    assert np.diff(sorted(places)).min() >= 0.1 - 1e-12
    assert 0 <= min(places) and max(places) <= 1
    assert np.argsort(places, kind="stable").tolist() == [2, 0, 1, 4, 3]


def test_columns_are_aligned():
    rows = [{"name": "a", "steps_done": 5}, {"name": "long", "steps_done": 1000}]
    assert format_columns(rows).splitlines() == [
        "name  steps done",
        "a              5",
        "long        1000",
    ]
    assert format_columns(rows, header=False).splitlines() == [
        "a        5",
        "long  1000",
    ]
    assert format_columns([]) == ""


def make_layers(folder, study):
    """Signals that fall by a factor of ten from layer to layer; zeros has none."""
    manifest = store.read_manifest(folder)
    names = ["Conv_0", "Conv_1", "Dense_0"]
    facts = {"layers": names, "chunk_width": 1, "convolution": "winograd"}
    programs = {program.id: facts for program in study.programs()}
    store.write_manifest(folder, manifest | {"programs": programs})
    recorder = store.Recorder(folder, store.LAYERS)
    alive = np.array([[m.scheme != "zeros"] for m in study.members()], np.float32)
    falling = np.float32([1.0, 0.1, 0.01])
    for program in study.programs():
        for step in (0, program.steps):
            ones = alive * np.float32([1.0, 1.0, 1.0])
            values = {"signal": alive * falling, "gradient": alive * falling[::-1]}
            values |= {"spread": 0.25 * values["signal"], "distinct": 0.5 * ones}
            values["weight_gradient"] = values["gradient"]
            recorder.append(program, step, values | {"dead": 1 - ones})
    return folder


def test_first_filters_are_shown_at_both_times(tmp_path):
    study = make_study(depth=2)
    folder = make_run(tmp_path, study)
    (program,), rng = study.programs(), np.random.default_rng(0)
    recorder = store.Recorder(folder, store.FILTERS)
    pairs = len(study.schemes) * len(study.learning_rates)
    kernels = {step: rng.normal(size=(pairs, 3, 3, 1, 5)) for step in (0, 20)}
    for step, own in kernels.items():
        recorder.append(program, step, {"first": own.astype(np.float32)})
    page = Page(write_report(folder).read_text())
    assert page.text.count("Filters of the first layer") == 1
    link = 'download="p0filters.csv" href="data:text/csv;base64,([^"]+)"'
    (text,) = re.findall(link, (folder / "report.html").read_text())
    table = pd.read_csv(io.StringIO(base64.b64decode(text).decode()))
    torch = compare_runs(store.load(folder), store.read_manifest(folder))[0].rows[0]
    place = list(study.schemes).index("torch") * len(study.learning_rates)
    place += list(study.learning_rates).index(torch.best.learning_rate)
    after = table[(table["scheme"] == "torch") & (table["when"] == "after")]["value"]
    np.testing.assert_allclose(after, kernels[20][place].ravel(), rtol=1e-4)


@pytest.fixture(scope="module")
def run_with_layers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    return make_layers(make_run(folder, make_study()), make_study())


def test_layers_are_shown_before_the_first_step_and_after_the_last(run_with_layers):
    page = Page(write_report(run_with_layers).read_text())
    assert page.tags.count("svg") == 2 * 11 + 1
    assert page.text.count("Signal by layer") == 2
    assert page.text.count("before the first step") >= 4
    row = re.search(r"\ntorch\n(.+)\n(.+)\n(.+)\n(.+)\n(.+)\n", page.text)
    tables = page.text.split("Before the first step")[1]
    cells = tables[tables.index("\ntorch\n") :].split("\n")[2:7]
    # Of the hidden layers: from 1 to 0.1, from 0.01 to 0.1.
    assert row and cells == ["−1.0", "+1.0", "50 %", "0 %", "25 %"]
    cells = tables[tables.index("\nzeros\n") :].split("\n")[2:7]
    assert cells == ["–", "–", "0 %", "100 %", "–"]


def test_what_stands_out_is_said_with_a_way_out(run_with_layers):
    text = Page(write_report(run_with_layers).read_text()).text
    assert text.count("What stands out") == 2
    assert "filters are copies of one another" in text
    assert "50.0 % of the filters of a layer are distinct" in text
    assert "hidden weights have no gradient" in text


def test_the_data_behind_a_figure_can_be_had(run_with_layers):
    page = Page(write_report(run_with_layers).read_text())
    links = [value for name, value in page.attributes if name == "href"]
    texts = [
        base64.b64decode(link.partition("base64,")[2]).decode()
        for link in links
        if link.startswith("data:")
    ]
    assert len(texts) == 2 * 7 + 1
    tables = [pd.read_csv(io.StringIO(text)) for text in texts]
    records = store.load(run_with_layers)
    final = records[(records["split"] == "validation") & (records["step"] == 20)]
    best = final[(final["scheme"] == "torch") & (final["metric"] == "accuracy")]
    rates = next(t for t in tables if "learning_rate" in t)
    ours = rates[(rates["scheme"] == "torch") & (rates["learning_rate"] == 0.01)]
    first = best[(best["learning_rate"] == 0.01) & (best["depth"] == 2)]
    assert ours["mean"].item() == pytest.approx(first["value"].mean(), rel=1e-5)
    names = [value for name, value in page.attributes if name == "download"]
    assert len(set(names)) == len(names) == len(texts)


@pytest.mark.parametrize(
    ("form", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")]
)
def test_figures_can_be_had_as_files(tmp_path, form, begins):
    folder = make_run(tmp_path, make_study(depth=2))
    written = export_figures(folder, form)
    assert {path.name for path in written} == {
        f"cnn-{kind}.{form}"
        for kind in (
            "strips",
            "shares",
            "accuracy",
            "accuracy-logarithmic",
            "loss",
            "loss-logarithmic",
            "rates",
        )
    }
    before = {path: path.read_bytes() for path in written}
    assert all(content.startswith(begins) for content in before.values())
    assert (folder / "figures" / "cnn-accuracy.csv").exists()
    export_figures(folder, form)
    assert before == {path: path.read_bytes() for path in written}


def test_figures_of_several_runs_are_those_of_none(tmp_path):
    (tmp_path / store.RACE).write_text("{}")
    with pytest.raises(UserError, match="several runs; name one"):
        export_figures(tmp_path, "pdf")


def picture_of(page, folder, width=1100, height=3000):
    picture = folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    flags += ["--disable-background-networking", f"--window-size={width},{height}"]
    flags += ["--enable-logging=stderr", "--v=0", f"--screenshot={picture}"]
    flags += [f"--user-data-dir={folder / 'profile'}"]
    done = finish(["chromium", *flags, page.as_uri()], limit=60)
    assert "CONSOLE" not in done.stderr, done.stderr
    from PIL import Image

    return np.asarray(Image.open(picture).convert("RGB"))


def area(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels == wanted).all(-1).sum())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_controls_show_what_is_asked_for(run_with_layers, tmp_path):
    """A control that is set in the file is as one that was clicked."""
    text = write_report(run_with_layers).read_text()
    colour = scheme_styles(SCHEMES)["torch"].colour

    def seen(name, *changes):
        changed = text
        for before, after in changes:
            assert before in changed
            changed = changed.replace(before, after)
        (tmp_path / f"{name}.html").write_text(changed)
        return area(picture_of(tmp_path / f"{name}.html", tmp_path, 1100, 6000), colour)

    plain = seen("plain")
    place = SCHEMES.index("torch")
    box = f'<input type="checkbox" checked id="show-{place}">'
    # What is left is the colour in the control itself.
    assert seen("hidden", (box, box.replace(" checked", ""))) < 0.1 * plain
    each = '<input type="checkbox" id="seeds">'
    assert seen("seeds", (each, each.replace(" id", " checked id"))) != plain
    assert seen("second", ('class="second">', 'class="second" checked>')) != plain


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [pytest.param(400, marks=pytest.mark.slow), 1100])
def test_a_browser_shows_it(tmp_path, width):
    page = write_report(make_run(tmp_path, make_study()))
    pixels = picture_of(page, tmp_path, width)
    colours = np.unique(pixels.reshape(-1, 3), axis=0)
    # Lines in several colours were drawn, on paper that was coloured by the page.
    assert len(colours) > 100 and tuple(pixels[0, 0]) == (251, 251, 250)


def test_a_wheel_has_all_that_is_no_python():
    """What a page is filled into, and what it looks like, are files of the package."""
    root = Path(init_study.__file__).parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    data = settings["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in root.joinpath(*package.split(".")).glob(pattern)
    }
    wanted = {*(root / "init_study").rglob("*.html"), *root.glob("init_study/**/*.css")}
    assert len(wanted) >= 8 and wanted <= packed


def test_the_data_of_the_runs_name_their_seeds(tmp_path):
    study = make_study(depth=2).replace(seeds=(3, 5, 7, 11, 13))
    folder = make_run(tmp_path, study)
    (comparison,) = compare_runs(store.load(folder), store.read_manifest(folder))
    shown = strip_figure("strips", comparison, scheme_styles(SCHEMES))
    assert set(shown.data["seed"]) == {3, 5, 7, 11, 13}
