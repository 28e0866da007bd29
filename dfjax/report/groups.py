"""How a detector treats groups of clips, as tables: rates of each group, and the gaps between."""

from collections.abc import Iterator, Mapping
from typing import Any

from dfjax.report.estimate import Estimate
from dfjax.report.tables import Row, Table

_RATES = {"fpr": "FPR", "fnr": "FNR", "accuracy": "Accuracy", "auc": "AUC"}
_FIGURES = {
    "f_fpr": "F_FPR: largest gap of the FPR",
    "f_oae": "F_OAE: largest gap of the accuracy",
    "f_dp": "F_DP: largest gap of the share called fake",
    "f_meo": "F_MEO: largest gap of the FPR or the FNR",
    "f_eo": "F_EO: sum of the gaps to all",
}


def of_column(column: str, found: Mapping[str, Any]) -> Iterator[Table]:
    """Yields the tables of the groups that a column makes: the rates, and if compared the gaps."""
    rows = [_rates(each) for each in found["groups"]]
    if any((unlabelled := found["unlabelled"]).values()):
        counts = unlabelled["real"], unlabelled["fake"]
        rows.append(Row(("no label", *counts, *(None for _ in _RATES)), "quiet"))
    yield Table(f"By {column}", ("Group", "Real", "Fake", *_RATES.values()), tuple(rows))
    if found["figures"]:
        gaps = tuple(_gap(name, found["figures"][name]) for name in _FIGURES)
        yield Table(f"Gaps by {column}", ("Figure", "Gap", "By chance"), gaps)


def _rates(group: Mapping[str, Any]) -> Row:
    estimates = (Estimate.of(group[rate]) for rate in _RATES)
    kind = "quiet" if group["small"] else ""
    return Row((group["group"], group["real"], group["fake"], *estimates), kind)


def _gap(name: str, figure: Mapping[str, Any]) -> Row:
    return Row((_FIGURES[name], Estimate.of(figure), Estimate(figure["chance"])))
