"""How scripts/docs.sh makes a site of the guides: Sphinx, MyST and Furo.

The source folder is the repository, so that a relative link means on the site what it means on
GitHub. A link to a guide becomes a page. A link to anything else becomes one to the repository's
address, where pyproject.toml names one (project.urls.Repository); until then a file is copied to
the site, and a folder is its name alone. A link to what does not exist is an error.
"""

import pathlib
import tomllib

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT.get("urls", {}).get("Repository", "").removesuffix("/")

project = PROJECT["name"]
author = "the dfjax authors"
copyright = f"{author}; MIT, except for weights and photographs"
version = release = PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "dfjax/weights/detector/*.md",
]
# Folders that are not searched: they may hold a corpus.
exclude_patterns = sorted(
    path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("docs", "dfjax")
)

myst_heading_anchors = 4  # as GitHub gives them to headings
myst_enable_extensions = ["smartquotes"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

default_role = "code"  # single backticks in docstrings
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
python_maximum_signature_line_length = 120
# Libraries have sites of their own; their types are not looked for here.
nitpick_ignore_regex = [("py:.*", r"(?!dfjax\b).*")]

html_theme = "furo"
html_title = f"dfjax {release}"
html_extra_path = ["redirect"]  # from the root of the site to its first page


def setup(app: Sphinx) -> None:
    """Registers what changes pages."""
    app.connect("doctree-read", _link_sources)
    app.connect("autodoc-process-signature", _simplify_signature)
    app.connect("autodoc-process-docstring", _keep_names_together, priority=900)  # after Napoleon


def _link_sources(app: Sphinx, page: nodes.document) -> None:
    """Gives links to files and folders that are no pages an address that exists on the site."""
    here = pathlib.Path(app.env.doc2path(app.env.current_document.docname)).parent
    for link in list(page.findall(_is_link)):
        target = (here / link["reftarget"]).resolve()
        if REPOSITORY and target.exists():
            kind = "tree" if target.is_dir() else "blob"
            address = f"{REPOSITORY}/{kind}/main/{target.relative_to(ROOT)}"
            link.replace_self(nodes.reference("", "", *link.children, refuri=address))
        elif target.is_dir():
            link.replace_self(link.children)


def _is_link(node: nodes.Node) -> bool:
    """Whether it is a Markdown link to something that is no page, which may not exist."""
    if not isinstance(node, (addnodes.download_reference, addnodes.pending_xref)):
        return False
    return node.get("reftype") == "myst" and node.get("refdomain") is None


def _simplify_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Leaves out fields that are private: then a function makes such objects, not its users."""
    if what != "class" or not arguments:
        return None
    if "(_" in arguments.replace(", ", "("):
        return "", ""
    return arguments.replace("<factory>", "..."), returns


def _keep_names_together(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Writes ":ivar low, high:" without a space, which would say that `high` is of type `low`."""
    for number, line in enumerate(lines):
        if line.startswith(":ivar "):
            names, _, text = line.removeprefix(":ivar ").partition(":")
            together = names.replace(", ", ",\u200b")  # a place to break the line, and no space
            lines[number] = f":ivar {together}:{text}"
