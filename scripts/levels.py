"""Counts how strong the evidence is that a model finds in pictures whose labels are known.

    python scripts/levels.py RUN RUN/eval/faces-test/scores.parquet [SCORES ...]

RUN holds the model card; the scores are those of an evaluation of it, of one face a picture.
"""

import argparse
import collections
import pathlib

import numpy as np

from dfjax import console, model_card, verdict
from dfjax.evaluators import score_table
from dfjax.evaluators.score_table import ScoreTable
from dfjax.model_card import LABELS, ModelCard
from dfjax.verdict import FaceScore


def main() -> None:
    """Prints, for each label of each table, how many pictures reach which level."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("scores", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    card = model_card.read(arguments.run)
    for path in arguments.scores:
        table = score_table.read(path)
        for label, name in enumerate(LABELS):
            rows = np.flatnonzero((table.label == label) & ~np.isnan(table.score))
            counts = collections.Counter(_level(table, row, card) for row in rows)
            shares = (f"{level} {n} ({n / len(rows):.1%})" for level, n in counts.most_common())
            console.print_line(f"{path.parent.name}, {len(rows)} {name}: {', '.join(shares)}")


def _level(table: ScoreTable, row: int, card: ModelCard) -> str:
    reason = table.extra["quality"][row] or None
    face = FaceScore(0, None, track=0, score=float(table.score[row]), quality=reason)
    return verdict.judge([face], kind="image", card=card).level


if __name__ == "__main__":
    main()
