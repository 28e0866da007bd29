"""What scripts/newest.sh installs and writes: `newest.py unbounded` and `newest.py write SUITE`."""

import collections
import datetime
import importlib.metadata
import pathlib
import platform
import re
import sys
import tomllib
from collections.abc import Iterator

from packaging import requirements

_PROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"
_MARKS = re.compile(r"^[.FEsxX]+(?= +\[ *\d+%\]$|$)", re.MULTILINE)  # of tests, as they end
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s:]+)", re.MULTILINE)
_CAUSE = re.compile(r"^(?:E +|\S+:\d+: )([\w.]*(?:Error|Exception): .+)$", re.MULTILINE)
_MOST_CAUSES = 8


def main() -> None:
    """Prints the packages without their upper bounds, or the page."""
    match sys.argv[1:]:
        case ["unbounded"]:
            print(*(_without_upper_bounds(each) for each in _stated()), sep="\n")
        case ["write", suite]:
            print(*_page(pathlib.Path(suite).read_text()), sep="\n")
        case _:
            sys.exit(__doc__)


def _stated() -> list[requirements.Requirement]:
    """What dfjax and its tests require, each package once."""
    project = tomllib.loads(_PROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    names = [*project["dependencies"]]
    names += [
        name for extra in ("beam", "download", "export", "serve", "dev") for name in extras[extra]
    ]
    found = [requirements.Requirement(name) for name in names]
    return list({each.name: each for each in found if each.name != "dfjax"}.values())


def _without_upper_bounds(requirement: requirements.Requirement) -> str:
    """A lower bound stays: it keeps the resolver from pairing new releases with old ones."""
    lower = [str(each) for each in requirement.specifier if each.operator == ">="]
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{','.join(lower)}{marker}"


def _page(suite: str) -> Iterator[str]:
    marks = collections.Counter("".join(_MARKS.findall(suite)))
    failed = f"{marks['F']} failed and {marks['E']} could not begin"
    yield "# With the newest releases"
    yield ""
    yield "Written by `bash scripts/newest.sh`: the newest releases, whatever bounds pyproject"
    yield "states, and what a short suite says to them. No gate."
    yield ""
    yield (
        f"{datetime.date.today().isoformat()}, Python {platform.python_version()}: "
        f"{marks['.']} tests passed, {failed}."
    )
    yield ""
    if beyond := [each for each in _stated() if _is_beyond(each)]:
        yield "Beyond the bounds of pyproject.toml:"
        yield ""
        yield "| package | bounds | newest |"
        yield "|---|---|---|"
        for each in beyond:
            yield f"| {each.name} | {each.specifier} | {importlib.metadata.version(each.name)} |"
    else:
        yield "No package is beyond the bounds of pyproject.toml."
    if causes := collections.Counter(_CAUSE.findall(suite)).most_common(_MOST_CAUSES):
        yield ""
        yield "What they ended with, the most frequent first:"
        yield ""
        yield from (f"- `{cause}`" for cause, _ in causes)
    if files := collections.Counter(_FAILED.findall(suite)):
        yield ""
        yield "| file | tests that did not pass |"
        yield "|---|---|"
        yield from (f"| `{file}` | {count} |" for file, count in sorted(files.items()))


def _is_beyond(requirement: requirements.Requirement) -> bool:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return not requirement.specifier.contains(version, prereleases=True)


if __name__ == "__main__":
    main()
