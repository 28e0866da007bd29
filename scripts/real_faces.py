"""Trains on real faces and scores files that no training saw: docs/real_faces.md, row by row.

    DFJAX_TEST_DATA=DIR python scripts/real_faces.py             # all rows, about 7 CPU hours
    DFJAX_TEST_DATA=DIR python scripts/real_faces.py supervised-0 'ablation/*'
    python scripts/real_faces.py 'gpu/*'       # on a machine with a GPU; these are left out else
    python scripts/real_faces.py --list

DIR holds `dfdc_faces/` (cropped faces of the Deepfake Detection Challenge, with a manifest.csv
whose splits are train and val), `studio/` and `ffhq_real/` (real photographs), `ciplab/` (retouched
ones) and `videos/`. Who is trained on, who decides and who is tested: scripts/recipes/corpora.py.

A row that is interrupted continues at its last checkpoint; one that has its file in
docs/real_faces/ is not trained again. Rows can be divided among machines: copying the files brings
them together. A machine that was given the prepared data takes them by --prepared, without DIR.
"""

import argparse
import fnmatch
import itertools
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import time

sys.path.insert(0, os.fspath(pathlib.Path(__file__).parents[1]))

from dfjax.evaluators import score_table
from scripts.recipes import average, corpora, degradation, figures, rows, table


def run(*command: object) -> None:
    """Runs a command and shows it first."""
    words = [str(word) for word in command]
    print("$", shlex.join(words), flush=True)
    subprocess.run(words, check=True)


def main() -> None:
    """Prepares, trains, evaluates, and writes each row's figures; continues where it stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="names or patterns (all that want no GPU)")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data/real_faces"))
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/real_faces"))
    parser.add_argument("--prepared", action="store_true", help="take --data as it is")
    arguments = parser.parse_args()
    chosen = [
        row
        for row in rows.all_rows()
        if any(fnmatch.fnmatch(row.key, pattern) for pattern in arguments.rows)
        or not (arguments.rows or row.wants_gpu)
    ]
    if arguments.list:
        for row in chosen:
            print(row.key, "" if figures.read(row.key) is None else "(finished)")
        return
    if not arguments.prepared:
        if "DFJAX_TEST_DATA" not in os.environ:
            sys.exit("set DFJAX_TEST_DATA to the folder that holds dfdc_faces/ and the others")
        corpora.prepare_all(pathlib.Path(os.environ["DFJAX_TEST_DATA"]), arguments.data, run)
    for row in chosen:
        if figures.read(row.key) is None:
            train(row, arguments.data, arguments.runs / row.key)
    for seed in rows.SEEDS:
        combine(seed, arguments.runs)
    table.write()


def train(row: rows.Row, data: pathlib.Path, workdir: pathlib.Path) -> None:
    """Trains and evaluates a row, and writes its figures."""
    tests = tuple(f"{data / test}:test" for test in row.tests)
    settings = {"data.dir": data / "dfdc_faces", "eval.data": tests, "seed": row.seed}
    if row.config != rows.LITE:
        further = tuple((f"{data / name}:train", share) for name, share in rows.FURTHER.items())
        settings |= {"data.more": further}
    settings |= row.settings
    began, used = time.monotonic(), _cpu_seconds()
    command = (sys.executable, "-m", "dfjax.cli", "train", "--config", row.config)
    options = [f"--config.{name}={value}" for name, value in settings.items()]
    run(*command, "--workdir", workdir, *options)
    noted = {
        "config": row.config,
        "settings": {name: str(value) for name, value in row.settings.items()},
        "seed": row.seed,
        "cpu_seconds": round(_cpu_seconds() - used),  # of the last start alone
        "seconds": round(time.monotonic() - began),
    }
    if row.is_degraded:
        noted["degradation"] = degradation.measure(workdir, data, run)
    if not row.name.startswith("ablation/"):
        figures.keep_scores(row.key, workdir, row.tests)
    figures.write(row.key, workdir / "eval" / "report.json", noted)


def combine(seed: int, runs: pathlib.Path) -> None:
    """Averages the logits of the supervised and the self-blending model.

    What the average, and the one training of both where that is there, have more of AUC than either
    goes with it.
    """
    key, both = f"average-{seed}", f"both-{seed}"
    singles = [f"{name}-{seed}" for name in ("supervised", "sbi")]
    kept = [k for k in (*singles, both) if figures.scores_of(k, corpora.TESTS[0]).is_file()]
    if figures.read(key) is not None or not set(singles) <= set(kept):
        return
    out = runs / key
    report = average.write(singles, out, run)
    more = {}
    for test in corpora.TESTS:
        scores = {key: out / test / score_table.PARQUET_FILE}
        if both in kept:
            scores[both] = figures.scores_of(both, test)
        for (name, file), single in itertools.product(scores.items(), singles):
            compared = out / f"{name}_against_{single}_{test}.json"
            difference = average.compare(figures.scores_of(single, test), file, compared, run)
            more[f"{name} than {single}, {test}"] = difference
    figures.write(key, report, {"of": singles, "seed": seed, "more_auc": more})


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
