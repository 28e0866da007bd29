"""How a detector treats groups of clips, as tables: rates of each group, and the gaps between."""

from collections.abc import Iterator, Mapping
from typing import Any

from dfjax.report.estimate import Estimate
from dfjax.report.table import Row, Table

_RATES = {"fpr": "FPR", "fnr": "FNR", "accuracy": "Accuracy", "auc": "AUC"}
_FIGURES = {
    "f_fpr": "F_FPR: largest gap of the FPR",
    "f_oae": "F_OAE: largest gap of the accuracy",
    "f_dp": "F_DP: largest gap of the share called fake",
    "f_meo": "F_MEO: largest gap of the FPR or the FNR",
    "f_eo": "F_EO: sum of the gaps to all",
}
_CHANCE = "a gap below the one by chance shows no difference"


def tables(dataset: Mapping[str, Any]) -> list[Table]:
    """Returns the tables of each column, and last of the columns that make no groups."""
    columns = (dataset.get("groups") or {}).get("columns", ())
    parted = [table for found in columns if "groups" in found for table in _of_column(found)]
    others = tuple(Row((each["column"], each["note"])) for each in columns if "note" in each)
    return [*parted, Table("Columns without groups", ("Column", "Why"), others)]


def _of_column(found: Mapping[str, Any]) -> Iterator[Table]:
    """The rates of the groups, and the gaps between those that are large enough."""
    rows = [_rates(each) for each in found["groups"]]
    if any((unlabelled := found["unlabelled"]).values()):
        counts = unlabelled["real"], unlabelled["fake"]
        rows.append(Row(("no label", *counts, *(None for _ in _RATES)), "quiet"))
    title, about = f"By {found['column']}", found["about"] or ""
    yield Table(title, ("Group", "Real", "Fake", *_RATES.values()), tuple(rows), about)
    if found["figures"]:
        gaps = tuple(_gap(title, found["figures"][name]) for name, title in _FIGURES.items())
        yield Table(f"Gaps {title.lower()}", ("Figure", "Gap", "By chance"), gaps, _CHANCE)


def _rates(group: Mapping[str, Any]) -> Row:
    estimates = (Estimate.of(group[rate]) for rate in _RATES)
    kind = "quiet" if group["small"] else ""
    return Row((group["group"], group["real"], group["fake"], *estimates), kind)


def _gap(title: str, figure: Mapping[str, Any]) -> Row:
    return Row((title, Estimate.of(figure), Estimate(figure["chance"])))
