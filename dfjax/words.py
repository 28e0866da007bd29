"""What is said of faces and files, in words: the catalogue of reports, pages and tables.

A translation replaces this file. Keys are those of the report's schema.
"""

from collections.abc import Mapping
from typing import Any

from dfjax.model_card import INCONCLUSIVE

# Headlines, by level of evidence (`verdict.LEVELS`).
LEVELS = {
    "none_found": "No evidence of manipulation found",
    "moderate": "Moderate evidence of manipulation",
    "strong": "Strong evidence of manipulation",
    "very_strong": "Very strong evidence of manipulation",
    "no_verdict": "No verdict",
    "not_applicable": "Not applicable",
}

# The same where there is little room.
SHORT_LEVELS = {
    "none_found": "none found",
    "moderate": "moderate",
    "strong": "strong",
    "very_strong": "very strong",
    "no_verdict": "no verdict",
    "not_applicable": "not applicable",
}

# Why there is no verdict: a sentence without a capital and a full stop.
REASONS = {
    "no_face": "no face was found",
    "too_many_faces": "too many faces are in the picture",
    "too_small": "the faces are too small",
    "too_dark": "the faces are too dark, or overexposed",
    "too_blurred": "the faces are too blurred",
    "unlike_training": "the faces are unlike the training data",
    "too_few_frames": "too few frames show a usable face",
    "moment": "it looks manipulated for a while, and real as a whole",
    "undecided": "the score lies in the range that validation data left undecided",
    "decode_error": "the file could not be decoded",
}

# Why a face does not count, in a picture that has little room.
FLAWS = {
    "too_small": "too small",
    "too_dark": "too dark or bright",
    "too_blurred": "too blurred",
    "unlike_training": "unlike the training data",
}

# What stands next to a score, by label.
LABELS = {"real": "real", "fake": "fake", INCONCLUSIVE: "no verdict"}

_TAKEN = (
    "The model takes at least one face for manipulated. Of real files like those of its validation,"
)
_CAN_BE_WRONG = "It can be wrong: check where the file comes from, and do not take this as proof."

# What a verdict does and does not say: by its reason, where there is more to say of that, or level.
MEANINGS = {
    "none_found": "The model sees no sign of manipulation in the faces it could judge. That does "
    "not prove that the file is genuine: the model looks at faces alone, and may miss methods it "
    "does not know.",
    "moderate": f"{_TAKEN} no more look like this than the error rate below says. {_CAN_BE_WRONG}",
    "strong": f"{_TAKEN} at most one in a hundred looks like this. {_CAN_BE_WRONG}",
    "very_strong": f"{_TAKEN} at most one in a thousand looks like this. {_CAN_BE_WRONG}",
    "no_verdict": "The model cannot tell: the file may be genuine or manipulated. This is not a "
    "place halfway between the two. A larger, sharper or longer copy may allow a verdict.",
    "not_applicable": "The model judges faces like those that it was trained on, and this file is "
    "something else. Nothing is said about whether it was manipulated.",
    "moment": "The model takes some seconds of a face for manipulated, and the face as a whole for "
    "real. Look at these seconds: a part of the file may have been altered.",
    "unlike_training": "The model did not learn from faces like these, so a score would mean "
    "nothing: they may be drawn, turned, altered by a filter or no faces at all. A model that was "
    "trained on such pictures may tell.",
    "decode_error": "The model did not see the file, so nothing is said about it. Use the "
    "original, or save the file again.",
}

SCORE_MEANING = "likelihood that the face is manipulated, not the amount of manipulation"
RULE = (
    "the score of a track is the mean over its usable faces; a file is fake if one of its tracks "
    "is, real if all are, and undecided otherwise; limits are wider for short tracks and for "
    "several tracks; tracks with too few usable faces do not count if there is a longer one; a "
    "track that is real as a whole and manipulated for a while is undecided"
)
ABSENCE = (
    "No detection does not mean that a file is genuine. A detection is a reason to look closer, "
    "and no proof."
)


def percent(score: float) -> str:
    """Returns a score in words that never claim certainty: "97%", "over 99%", "under 1%"."""
    if score > 0.99:
        return "over 99%"
    return "under 1%" if score < 0.01 else f"{score:.0%}"


def clock(seconds: float) -> str:
    """Returns a time in a video as m:ss.t, for example 1:05.2."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def place(moment: Mapping[str, Any]) -> str:
    """Returns whom a moment of a report shows, and when: "Person 1, shot 2, 0:09.0 to 0:10.0"."""
    parts = [f"Person {moment['track'] + 1}"]
    if shots := moment["shots"]:
        numbers = ", ".join(str(shot + 1) for shot in shots)
        parts.append(f"shot {numbers}" if len(shots) == 1 else f"shots {numbers}")
    if moment["first_s"] is not None:
        parts.append(f"{clock(moment['first_s'])} to {clock(moment['last_s'])}")
    return ", ".join(parts)


def scope(shown: Mapping[str, Any]) -> str:
    """Returns what the `scope` of a report says of forgeries, as sentences."""
    if not shown["forgeries"]:
        return "Which forgeries the model was shown is not stated."
    known, others = (", ".join(shown[name]) for name in ("forgeries", "others"))
    missed = f" It was not shown, and may miss: {others}." if others else ""
    return f"Forgeries that the model was shown: {known}.{missed}"
