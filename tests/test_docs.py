"""The site builds without a warning and without a network, and names everything."""

import re
import sys
from pathlib import Path

import pytest
from calling import finish

import init_study
from init_study.initializers import INITIALIZERS
from init_study.models import MODELS
from init_study.schemes import SCHEMES

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx_book_theme")
    pytest.importorskip("myst_parser")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    places = ["-d", folder / "trees", "docs", folder / "html"]
    built = finish([*command, *places], limit=200, check=False, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    return folder / "html"


def test_nothing_on_a_page_is_fetched(site):
    """Links may lead away; scripts, styles, fonts and pictures are the site's own."""
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|img|link)\b[^>]*>", page.read_text()):
            assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", tag), tag


def test_every_name_is_in_the_reference(site):
    text = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    factories = {**SCHEMES, **INITIALIZERS}.values()
    names = [f.__name__ for f in (*factories, *MODELS.values())]
    for name in [*(n for n in names if n != "scheme_of"), *init_study.__all__]:
        assert re.search(rf'id="[\w.]*\.{name}"', text), name


def test_every_link_between_sources_leads_somewhere():
    sources = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for source in [*sources, *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"^```.*?^```", "", source.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (source.parent / target).exists(), f"{source.name}: {target}"
