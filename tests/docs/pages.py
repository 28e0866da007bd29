"""The pages that people read, and what is in them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    README,
    *GUIDES,
    *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG")),
]

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language in Markdown, in order."""
    return [match["text"] for match in _FENCE.finditer(text) if match["info"] == language]


def prose(text: str) -> str:
    """Markdown without its code, in blocks and in lines."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    _, _, rest = text.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]
