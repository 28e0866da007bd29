"""Processor time of whole commands, at the first start on a machine and at later ones."""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import numpy as np
from rich import table

from dfjax.console import make_console
from dfjax.corpora.synthetic import corpus
from dfjax.media import image


def main() -> None:
    """Prints the processor seconds of each command: first start, and later ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", metavar="M", action="append", default=[], help="judge a picture by it; repeat it"
    )
    parser.add_argument("--data", metavar="DATA", help="train on it by configs/resnet.py, 20 steps")
    parser.add_argument("--picture", metavar="FILE", help="with a face (a drawn one)")
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="(%(default)s)")
    arguments = parser.parse_args()
    rows = table.Table(title="processor seconds")
    for column in ("", "first start", "later starts", "slowest"):
        rows.add_column(column, justify="right" if column else "left")
    with tempfile.TemporaryDirectory() as folder:
        picture = arguments.picture or _draw(pathlib.Path(folder, "face.png"))
        for name, command in _commands(arguments.model, arguments.data, picture).items():
            first, *later = _measure(command, arguments.rounds + 1)
            numbers = first, np.median(later), max(later)
            rows.add_row(name, *(f"{number:.2f}" for number in numbers))
    make_console().print(rows)


def _draw(path: pathlib.Path) -> str:
    frame = corpus.film(corpus.Settings(frames=1), 3, 0).frames[0]
    path.write_bytes(image.encode_image(frame, "png"))
    return str(path)


def _commands(models: Sequence[str], data: str | None, picture: str) -> dict[str, list[str]]:
    """The commands by their names in the table; they run in an empty folder."""
    commands = {"dfjax --help": ["--help"]}
    picture = os.path.abspath(picture)
    for model in models:
        judging = ["predict", "--model", os.path.abspath(model), picture]
        commands[f"predict {model}"] = judging
        commands[f"predict {model}, no report"] = [*judging, "--no-reports"]
    if data:
        steps = ("num_steps", "log_every", "evals.val.every", "checkpoint_every")
        commands[f"train {data}"] = [
            *("train", "--workdir", "run", "--config", os.path.abspath("configs/resnet.py")),
            *(f"--config.{name}=20" for name in steps),
            *("--config.optimizer.warmup_steps=2", f"--config.data.dir={os.path.abspath(data)}"),
        ]
    return commands


def _measure(command: Sequence[str], starts: int) -> list[float]:
    """Processor seconds of each start, its children's too; the home folder is new, and one."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PYTHONPATH": os.getcwd(), **os.environ, "HOME": home}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        seconds = []
        for _ in range(starts):
            with tempfile.TemporaryDirectory() as folder:
                before = _children_seconds()
                subprocess.run(
                    [sys.executable, "-m", "dfjax.cli", *command],
                    cwd=folder,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                seconds.append(_children_seconds() - before)
        return seconds


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
