"""A model with everything that was frozen, and what it makes of prepared data."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax

from dfjax import console, files, walk
from dfjax.data import leaks
from dfjax.errors import UserError
from dfjax.evaluators import frame, protocol, result, score_table, tables, tabulate, verdicts
from dfjax.evaluators.cue_probe import Probe
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable
from dfjax.media import image as media_image
from dfjax.model_card import ModelCard
from dfjax.report import report

Score = Callable[[EvalTarget], frame.Scores]

_PICTURE = 128  # pixels, the side of a face in the report


@dataclasses.dataclass(frozen=True)
class Judge:
    """A model with everything that was frozen before a target is scored.

    Attributes:
      card: what decides.
      score: what scores a target.
      overlap: what a target shares with the training data; None: they are not at hand.
      probe: what trivial cues reach; None: it is off.
      config: of the run; None: it is an export.
      by: columns that results are parted by.
    """

    card: ModelCard
    score: Score
    overlap: Callable[[EvalTarget], leaks.Overlap | None]
    probe: Probe | None
    config: dict[str, Any] | None
    by: Sequence[str]

    @property
    def limits(self) -> Thresholds:
        """The thresholds of the metrics."""
        return protocol.thresholds_of(self.card)

    def score_all(self, targets: Sequence[EvalTarget], out: pathlib.Path) -> dict[str, Any]:
        """Returns, writes below `out` and prints what was measured of each target, by its name.

        Raises:
          UserError: of some targets; the others were scored and written.
        """
        results, parts, failures = {}, [], []
        for target in targets:
            try:
                results[target.name], part = self._report(target, out)
                parts.append(part)
            except UserError as error:
                failures.append(f"{target.name}: {error}")
        if jax.process_index() == 0:
            content = protocol.make(parts, card=self.card, config=self.config, devices=_devices())
            files.replace_json(out / protocol.FILE, content)
            report.write(out)
            console.print_line(f"wrote {out}: {', '.join((protocol.FILE, *report.FILES))}")
            tables.print_results(results)
        if failures:
            raise UserError("; ".join(failures))
        return results

    def _report(
        self, target: EvalTarget, out: pathlib.Path
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Scores one target and writes the results; returns them, and its part of report.json."""
        overlap = self.overlap(target)
        frozen = {"temperature": self.card.temperature, "pooling": self.card.pooling}
        scores = dataclasses.replace(self.score(target), **frozen)
        judged = verdicts.files(scores, self.card.quality)
        table = tabulate.tabulate(scores, judged, target)
        measured = result.describe(target, judged, self.card, self.limits, overlap)
        part = self._part(target, table, measured)
        measured |= protocol.of_part(part)
        cues = self.probe(target, scores) if self.probe else None
        measured["trivial_cues"] = part["trivial_cues"] = cues
        if jax.process_index() == 0:
            folder = _folder(out, target)
            walk.mark_output(folder)
            score_table.write(folder, table)
            files.replace_json(folder / protocol.METRICS_FILE, measured)
            synthetic = " (synthetic)" if measured["synthetic"] else ""
            title = f"{target.name}{synthetic}, step {self.card.step}"
            result.write_curves(folder, title, table, self.limits)
            console.print_line(f"wrote {folder}: {', '.join(result.FILES)}")
        return measured, part

    def _part(
        self, target: EvalTarget, table: ScoreTable, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """What report.json says of a target."""
        records = target.records  # in the order of the faces of the table

        def picture(row: int) -> str:
            image = media_image.decode_image(records[row]["image"])
            return media_image.data_uri(image, side=_PICTURE)

        audit = leaks.read(target.dataset)
        found = None if audit is None else dataclasses.asdict(audit)
        return protocol.dataset(
            target.name,
            table,
            self.limits,
            protocol=measured["protocol"],
            synthetic=measured["synthetic"],
            notes=measured["notes"],
            data_card={**measured["prepared"], "audit": found},
            overlap=measured["shared_with_training"],
            card=self.card,
            by=self.by,
            picture=picture,
        )


def _devices() -> str:
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def _folder(out: pathlib.Path, target: EvalTarget) -> pathlib.Path:
    """Where the results on a target go: no other dataset's are there."""
    place = target.dataset.place
    names = [part for part in re.split(r"[/:]+", place) if part]
    for depth in range(1, len(names) + 1):
        folder = out / f"{'-'.join(names[-depth:])}-{target.split}"
        if not (folder / protocol.METRICS_FILE).exists():
            return folder
        if json.loads((folder / protocol.METRICS_FILE).read_text()).get("path") == place:
            return folder
    raise UserError(f"{out} holds results of other datasets named {place}: move them away")
