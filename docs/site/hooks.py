"""What the documentation site needs beside its pages: those from other folders, links, equations.

Links in the pages are those of the repository, so that they work where it is hosted. Here they are
turned into links of the site; what isn't a page of it is linked at the repository.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
ELSEWHERE = ("config/README.md", "benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that don't lie in docs/."""

_REFERENCE = "reference.md"
_MODULE = re.compile(r"^\| `(floodloom\.[\w.]+)` ", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\$([^$\n]+?)\$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from other folders."""
    for path in ELSEWHERE:
        files.append(File.generated(config, path, abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links into those of the site and equations into MathML, except in code."""
    parts = _CODE.split(markdown)
    parts[::2] = [_equations(_links(part, page, config, files)) for part in parts[::2]]
    return "".join(parts) + (_docstrings(markdown) if page.file.src_uri == _REFERENCE else "")


def _docstrings(markdown: str) -> str:
    """Ask for the docstrings of the stages and of the modules that the page lists."""
    stages = sorted((REPOSITORY / "src" / "floodloom" / "stages").glob("[a-z]*.py"))
    functions = [f"floodloom.stages.{path.stem}.{path.stem}" for path in stages]
    return "".join(f"\n\n::: {name}" for name in (*functions, *_MODULE.findall(markdown)))


def _links(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    own = page.file.src_uri
    folder = posixpath.dirname(own if own in ELSEWHERE else f"docs/{own}")

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        target = path.removeprefix("docs/") if path not in ELSEWHERE else path
        if files.get_file_from_path(target) is None:
            if not (REPOSITORY / path).exists():
                return match[0]  # MkDocs refuses it
            return f"{config.repo_url}/blob/main/{path}"
        return os.path.relpath(target, posixpath.dirname(own) or ".") + (match[2] or "")

    return _LINK.sub(link, text)


def _equations(text: str) -> str:
    text = _BLOCK.sub(lambda match: convert(match[1].strip(), display="block"), text)
    return _INLINE.sub(lambda match: convert(match[1].strip()), text)
