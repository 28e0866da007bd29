"""What people read is complete, short where it should be, and every link in it arrives."""

import ast
import re

import pytest

from dfjax import models as models  # registers them
from dfjax import registry
from tests.docs import pages

MOST_LINES_OF_THE_README = 200


def anchors(text):
    """Those that GitHub gives to the headings of a page."""
    seen = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *$", re.sub(r"(?ms)^```.*?^```$", "", text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        yield f"{name}-{seen[name]}" if seen[name] else name


def test_anchors_are_those_of_github():
    text = "# A `b` (c), d!\n## e_f\n## e_f\n```\n# no\n```\n### [G](h.md): 1 & 2\n"
    assert list(anchors(text)) == ["a-b-c-d", "e_f", "e_f-1", "g-1--2"]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_relative_links_arrive(page):
    links = re.findall(r"\]\(([^)\s]+)\)", pages.prose(page.read_text()))
    lost = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        arrives = target.exists() and target.is_relative_to(pages.ROOT)
        if not arrives or (anchor and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert lost == []


def test_there_are_links_and_a_wrong_one_would_be_seen():
    text = pages.README.read_text()
    assert len(re.findall(r"\]\(docs/[a-z_]+\.md", pages.prose(text))) > 10
    assert "no-such-heading" not in anchors(text)


def test_the_readme_is_short():
    assert len(pages.README.read_text().splitlines()) <= MOST_LINES_OF_THE_README


def test_every_guide_is_on_the_site_and_named_on_its_first_page():
    text = (pages.ROOT / "docs" / "index.md").read_text()
    for guide in pages.GUIDES:
        if guide.stem not in ("index", "newest"):
            assert f"({guide.name})" in text, guide.name
            assert re.search(rf"^{guide.stem}$", text, re.M), guide.name


def test_every_model_is_in_the_table_and_nothing_else():
    text = pages.section((pages.ROOT / "docs" / "models.md").read_text(), "Size and work")
    names = re.findall(r"^\| (\w+) \| \d+ \|", text, re.M)
    assert sorted(names) == registry.names("model")


def test_every_config_is_named_next_to_its_models():
    text = (pages.ROOT / "docs" / "models.md").read_text()
    configs = {path.name for path in (pages.ROOT / "configs").glob("*.py")} - {"__init__.py"}
    assert {name for name in configs if f"../configs/{name}" not in text} == set()


def _texts():
    """Every text of the package, with a gap where a value is filled in, and the scripts."""
    for path in (pages.ROOT / "dfjax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "\0".join(part.value for part in _runs(node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in (pages.ROOT / "scripts").glob("*.sh"):
        yield path.read_text().replace('" \\\n      "', " ")


def _runs(values):
    return [part for part in values if isinstance(part, ast.Constant)]


def test_what_troubleshooting_quotes_is_what_dfjax_says():
    text = (pages.ROOT / "docs" / "troubleshooting.md").read_text()
    messages = re.findall(r"\*\*`([^`]+)`\*\*", text)
    assert len(messages) > 20
    said = "\n".join(_texts())
    parts = [part.strip(" ,:()") for message in messages for part in message.split("...")]
    assert [part for part in parts if part and part not in said] == []
