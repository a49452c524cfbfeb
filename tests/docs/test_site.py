"""The documentation site is built without a warning and needs no network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("mkdocs", reason="the site needs `pip install 'floodloom[docs]'`")
_FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"?(https?:)?//[^\">]*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder]
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return folder


def test_no_page_fetches_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not (found := _FETCHED.search(page.read_text())), f"{page.name}: {found}"


def test_links_lead_to_pages_of_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        for link in re.findall(r'<a [^>]*?href="([^"#:]+)(?:#[^"]*)?"', page.read_text()):
            if page.name != "404.html":
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_equations_and_docstrings_are_there(site: Path) -> None:
    equations = (site / "equations.html").read_text()
    assert equations.count("<math") > 20
    assert "$" not in re.sub(r"<script.*?</script>", "", equations, flags=re.DOTALL)
    reference = (site / "reference.html").read_text()
    for name in ("stages.predict.predict", "layouts.Layout", "raster.recipe.Recipe"):
        assert f'id="floodloom.{name}"' in reference
