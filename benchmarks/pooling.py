"""One score for a clip: the mean of its frames against rules that weigh them, on forged clips.

    python -m benchmarks.pooling --work DIR              # about 40 minutes of processor time
    python -m benchmarks.pooling --work DIR --real data/clips:test

The drawn corpus, 32 frames a clip, with forgeries that flicker and jitter: a forged frame shows its
forgery whole or faintly, and a pixel or two aside from the frame before. A network is trained on
their frames, and then attention on top of it, by three seeds. With `--real`, attention of the
detector that comes with dfjax is learned from the same clips, its head left as it is, and judges
real clips that were cut out like its training data. Goes on where it was interrupted.
"""

import argparse
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from dfjax import files, pooling, progress
from dfjax.corpora.synthetic import corpus, scene
from dfjax.corpora.synthetic.settings import Settings
from dfjax.evaluators import compare, score_table
from dfjax.evaluators.score_table import ScoreTable
from dfjax.inference import scorer
from dfjax.media import video
from dfjax.weights import shipped

SETTINGS = Settings(seed=5, identities=96, frames=32)
SEEDS = (0, 1, 2)
_SPLITS = ("train", "train", "train", "val", "test", "test")  # of identities, in turn
_CROPS = ("--size", "160", "--scale", "0.85", "--center", "0.6")  # those of the detector
_ROUNDS = 20  # of the measurement of time


def write_corpus(root: pathlib.Path) -> None:
    """Writes clips and their manifest; those that are there are kept."""
    rows, takes = (
        [],
        [(n, take) for n in range(SETTINGS.identities) for take in range(corpus.TAKES)],
    )
    (root / "clips").mkdir(parents=True, exist_ok=True)
    with progress.Progress("draw clips", len(takes), unit="takes") as bar:
        for done, (person, take) in enumerate(takes, 1):
            split, pair = _SPLITS[person % len(_SPLITS)], f"{person:03d}_{take}"
            paths = {label: root / "clips" / f"{pair}_{label}.mp4" for label in ("real", "fake")}
            if not all(path.exists() for path in paths.values()):
                original = corpus.film(SETTINGS, person, take)
                rng = np.random.default_rng([SETTINGS.seed, 9, person, take])
                forged = unsteady(
                    original.frames, corpus.forge(SETTINGS, person, take, original), rng
                )
                for path, frames in zip(paths.values(), (original.frames, forged), strict=True):
                    with files.replacing(path) as unfinished:
                        video.write_video(unfinished, frames, fps=scene.FPS, crf=23)
            rows += [[f"clips/{path.name}", label, split, pair] for label, path in paths.items()]
            bar.update(done)
    files.replace_csv(root / "manifest.csv", ["path", "label", "split", "group"], rows)


def unsteady(
    real: list[np.ndarray], forged: list[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    """Returns frames whose forgery comes and goes, and does not lie still."""
    share = rng.uniform(0.15, 0.5)  # of the frames that show it whole
    frames = []
    for one, other in zip(real, forged, strict=True):
        strength = 1.0 if rng.random() < share else rng.uniform(0, 0.25)
        difference = np.roll(other.astype(float) - one, rng.integers(-2, 3, 2), axis=(0, 1))
        frames.append(np.rint((one + strength * difference).clip(0, 255)).astype(np.uint8))
    return frames


def run(*arguments: str) -> None:
    """Runs a command of dfjax."""
    subprocess.run([sys.executable, "-m", "dfjax.cli", *map(str, arguments)], check=True)


def train(work: pathlib.Path, name: str, config: str, data: str, **changes: Any) -> pathlib.Path:
    """Trains and evaluates a run on the drawn clips, unless that is done; returns its workdir."""
    workdir = work / name
    changes = {"data.dir": work / "prepared", "eval.data": tuple(data), "writers": (), **changes}
    overrides = [f"--config.{key}={value}" for key, value in changes.items()]
    if not (workdir / "eval" / "report.json").exists():
        run("train", "--config", config, "--workdir", workdir, *overrides)
    return workdir


def compared(one: ScoreTable, other: ScoreTable) -> tuple[str, str]:
    """(video AUC of the other, its difference from the first with a paired interval)."""
    found = compare.compare(one, other)["metrics"]["auc"]
    value, difference = found["b"], found["difference"]
    return f"{value['value']:.3f}", (
        f"{difference['value']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    )


def every_second(table: ScoreTable) -> ScoreTable:
    """The table with every second frame of each clip."""
    return table.rows(np.concatenate([each[::2] for each in _clips(table)]))


def _clips(table: ScoreTable) -> Iterator[np.ndarray]:
    """The rows of each clip, in order of frames."""
    order = np.lexsort((table.face, table.frame, table.clip.astype(str)))
    changes = np.flatnonzero(table.clip[order][1:] != table.clip[order][:-1]) + 1
    yield from np.split(order, changes)


def weighed(table: ScoreTable, rule: str) -> ScoreTable:
    """The table with the weights of a rule that is not learned."""
    weight = pooling.weights(rule, table.score, table.score)
    extra = {**table.extra, score_table.WEIGHT: weight}
    return ScoreTable(**{n: getattr(table, n) for n in score_table.COLUMNS}, extra=extra)


def cost(plain: pathlib.Path, attending: pathlib.Path) -> float:
    """How much longer 32 crops take with attention: the ratio of medians, in turn."""
    crops = np.zeros((32, 160, 160, 3), np.uint8)
    seconds: dict[pathlib.Path, list[float]] = {plain: [], attending: []}
    loaded = {path: scorer.load(path) for path in seconds}
    for _ in range(_ROUNDS):
        for path, model in loaded.items():
            began = time.process_time()
            model.outputs(crops)
            seconds[path].append(time.process_time() - began)
    return float(np.median(seconds[attending]) / np.median(seconds[plain]))


def rows_of(mean: ScoreTable, attending: dict[str, ScoreTable]) -> list[tuple[str, ...]]:
    """A row for each rule: its name, and the AUC and its difference from the mean."""
    variants = {"mean": mean, "confidence": weighed(mean, "confidence"), **attending}
    rows = []
    for name, table in variants.items():
        both = (compared(mean, table), compared(every_second(mean), every_second(table)))
        rows.append((name, *both[0], *both[1]))
    return rows


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Prints rows of `rows_of` in Markdown."""
    titles = "", "AUC, 32 frames", "against the mean", "AUC, 16 frames", "against the mean"
    for row in (titles, ("---",) * len(titles), *rows):
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Draws, trains, evaluates and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", metavar="DIR", type=pathlib.Path, required=True)
    parser.add_argument("--real", metavar="DIR:SPLIT", help="prepared real clips to judge, too")
    arguments = parser.parse_args()
    work = arguments.work
    write_corpus(work / "corpus")
    prepare = ("prepare", "--corpus", "folder", "--root", work / "corpus", *_CROPS)
    run(*prepare, "--frames", SETTINGS.frames, "--out", work / "prepared")
    drawn = f"{work / 'prepared'}:test"
    steady = {"num_steps": 400, "evals.val.every": 100, "checkpoint_every": 100}
    recipe = "configs/efficientnet_lite.py"
    plain = train(
        work, "frames", recipe, [drawn], **steady, **{"data.pairing": 0.5, "augment.mixup": 0.0}
    )
    seeded = {
        f"attention, seed {seed}": train(
            work, f"attention-{seed}", "configs/clips.py", [drawn], init_from=plain, seed=seed
        )
        for seed in SEEDS
    }
    scores = {name: _scores(workdir, "prepared") for name, workdir in seeded.items()}
    print_table(rows_of(_scores(plain, "prepared"), scores))
    print(
        f"32 crops with attention take {cost(plain, seeded['attention, seed 0']):.2f} times as long"
    )
    if arguments.real:
        alone = '((r"head/attention/.*", 1.0), (r".*", 0.0))'
        detector = train(
            work,
            "detector",
            "configs/clips.py",
            [drawn, arguments.real],
            init_from=shipped.DETECTOR / "model.safetensors",
            **{"optimizer.lr_rules": alone},
        )
        name = pathlib.Path(arguments.real.rpartition(":")[0]).name
        table = _scores(detector, name)
        extra = {k: v for k, v in table.extra.items() if k != score_table.WEIGHT}
        fields = {n: getattr(table, n) for n in score_table.COLUMNS}
        mean = ScoreTable(**fields, extra=extra)
        print_table(rows_of(mean, {"attention": table}))


def _scores(workdir: pathlib.Path, data: str) -> ScoreTable:
    (path,) = (workdir / "eval").glob(f"{data}-*/{score_table.PARQUET_FILE}")
    return score_table.read(path)


if __name__ == "__main__":
    main()
