"""Mutants uploaded to a running server, one after the other."""

import pathlib
import time
from collections.abc import Sequence

import httpx

from fuzz import trial
from fuzz.mutants import Mutant
from fuzz.trial import Trial

_STATUSES = {"too_large": 413, "unsupported": 415}  # the other refusals: 422


def run(url: str, pid: int, mutants: Sequence[Mutant], folder: pathlib.Path) -> Trial:
    """Returns how the server at `url`, process `pid`, judges them; `folder` holds its uploads."""
    codes, faults, slowest = {}, [], 0.0
    with httpx.Client(base_url=url, timeout=4 * trial.MAX_SECONDS) as client:
        for mutant in mutants:
            began = time.monotonic()
            answer = client.post("/v1/detect", files={"file": (mutant.name, mutant.data)})
            slowest = max(slowest, time.monotonic() - began)
            codes[mutant.name] = code = _code(answer)
            faults.append(_fault_of_status(mutant, code, answer))
            faults.append(trial.fault_of(mutant, code, answer.text if code != "judged" else ""))
            if (health := client.get("/v2/health/ready").status_code) != 200:
                faults.append(f"{mutant.name}: the server is not ready after it: {health}")
    memory = trial.peak_memory(pid)
    faults += [f"{path.name} is left of an upload" for path in folder.rglob("uploads/*")]
    faults += trial.limits_broken(slowest, memory)
    return Trial(codes, [fault for fault in faults if fault], slowest, memory)


def _code(answer: httpx.Response) -> str:
    try:
        content = answer.json()
        if answer.status_code != 200:
            return content["error"]["code"]
        return content["verdict"]["reason"] or "judged"
    except (ValueError, KeyError, TypeError):
        return "no typed answer"


def _fault_of_status(mutant: Mutant, code: str, answer: httpx.Response) -> str | None:
    expected = _STATUSES.get(code, 422) if code in trial.REFUSED else 200
    if answer.status_code == expected:
        return None
    return f"{mutant.name} ({', '.join(mutant.changes)}): {code} with {answer.status_code}"
