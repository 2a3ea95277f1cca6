"""Nothing is read or written outside a run's folder by a link in it."""

import os
import shutil

import pytest

from init_study import store
from init_study.errors import ExitCode, UserError
from init_study.examine import examine
from init_study.report import write_report
from init_study.report.notebook import notebook_html
from init_study.store.links import inside, refuse_links_out
from init_study.study import Study

STUDY = Study(schemes=("zeros",), learning_rates=(0.1,), seeds=(0,), steps=(1,))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "w"
    store.open_workdir(folder, STUDY)
    store.write_manifest(folder, {"study": STUDY.to_dict()})
    (folder / "checkpoints").mkdir()
    return folder


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def held(folder) -> None:
    with store.lock(folder):
        pass


USES = {
    "begin": lambda folder: store.open_workdir(folder, STUDY),
    "race": lambda folder: store.open_race(folder, {}),
    "examine": lambda folder: examine([], {}, {}, folder, print, "", "claims"),
    "lock": held,
    "manifest": store.read_manifest,
    "study": store.read_study,
    "load": store.load,
    "layers": store.load_layers,
    "page": write_report,
    "notebook": notebook_html,
}
PLACES = {
    "records.jsonl": "precious",
    ".lock": "precious",
    "report.html": "precious",
    "manifest.json": "precious",
    # Not there yet: writing would make it.
    "layers.jsonl": "new",
    "fresh": "",
    "checkpoints/0": "",
    "figures": "",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("place, target", PLACES.items())
def test_a_link_out_is_refused_and_not_followed(run, outside, use, place, target):
    (run / place).unlink(missing_ok=True)
    (run / place).symlink_to(outside / target)
    with pytest.raises(UserError, match="is a link out of the folder") as error:
        use(run)
    assert error.value.exit_code == ExitCode.DAMAGED
    said = str(error.value)
    assert place in said and "\n" not in said
    assert os.listdir(outside) == ["precious"]
    assert (outside / "precious").read_text() == "precious"


def test_a_relative_link_out_is_one(run, outside):
    (run / "checkpoints/up").symlink_to("../../outside")
    with pytest.raises(UserError, match="link out"):
        refuse_links_out(run)


def test_a_folder_whose_name_only_begins_alike_is_outside(run):
    shutil.copytree(run, run.with_name("w2"))
    (run / "more").symlink_to(run.with_name("w2"))
    with pytest.raises(UserError, match="link out"):
        refuse_links_out(run)


def test_the_folder_itself_and_those_above_may_be_links(run, tmp_path):
    """Whoever chose the place chose them."""
    (tmp_path / "linked").symlink_to(run)
    (tmp_path / "above").symlink_to(tmp_path)
    for folder in (tmp_path / "linked", tmp_path / "above/w"):
        with store.lock(folder):
            assert store.read_study(folder) == STUDY


def test_a_link_that_stays_inside_is_no_harm(run):
    (run / "checkpoints/latest").symlink_to("../manifest.json")
    assert store.read_study(run) == STUDY


def test_a_link_to_itself_leads_nowhere(run):
    (run / "figures").symlink_to("figures")
    assert store.read_study(run) == STUDY


def test_a_folder_that_is_no_run_is_not_looked_through(tmp_path, outside):
    """Somebody's home, given by mistake, may be large, and its links are theirs."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/link").symlink_to(outside)
    with pytest.raises(UserError, match="holds other files"):
        store.open_workdir(tmp_path / "home", STUDY)


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff")
    for begin in (USES["begin"], USES["race"]):
        with pytest.raises(UserError, match="not UTF-8"):
            begin(folder)
    assert not os.listdir(tmp_path)


def test_names_that_are_no_text_are_kept_in_documents(tmp_path):
    """As of a data set, a folder whose name is bytes."""
    name = {"name": os.fsdecode(b"\xff")}
    store.write_document(tmp_path / "a.json", name)
    assert store.read_document(tmp_path / "a.json") == name


@pytest.mark.parametrize("name", ["records.jsonl", "manifest.json", "report.html"])
def test_a_pipe_is_not_waited_for(run, name):
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(UserError, match="is a pipe or a device"):
        store.read_manifest(run)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc", "a/b", "a\0b"])
def test_names_in_files_lead_nowhere_else(tmp_path, name):
    with pytest.raises(UserError, match="a name of a folder that is none"):
        inside(tmp_path, name)
    # Of an examination that somebody else made.
    store.write_document(tmp_path / store.RULES, {"studies": {name: STUDY.to_dict()}})
    store.write_document(tmp_path / store.LEDGER, {"studies": {name: {}}})
    with pytest.raises(UserError, match="a name of a folder that is none"):
        write_report(tmp_path)
