"""Copies of pictures and videos with boxes, scores and heat maps drawn in.

Color-blind people can tell the colors apart, and every box says in words what it means.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from dfjax import files, phrases, words
from dfjax.errors import UserError
from dfjax.inference import draw
from dfjax.inference.detector import Detector, Result
from dfjax.inference.draw import Mark
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.model_card import INCONCLUSIVE
from dfjax.verdict import FaceScore

# Blue and vermilion of Okabe and Ito (2008); RGB.
COLORS = {"real": (0, 114, 178), "fake": (213, 94, 0), INCONCLUSIVE: (70, 70, 70)}


def draw_faces(
    image: np.ndarray,
    faces: Sequence[FaceScore],
    labels: Mapping[int, str | None],
    heat_maps: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a copy of RGB uint8 [H, W, 3] with a box and a line of text for every face.

    `labels` has the label of every track (None: not judged yet), which the color stands for; the
    percentage is the score of the face in this frame. `heat_maps` [N, h, w] in 0..1, one for each
    face, are laid over the inside of the boxes.
    """
    return draw.draw(image, _marks(faces, labels, heat_maps))


def write_annotated(
    source: str | os.PathLike,
    result: Result,
    detector: Detector,
    target: str | os.PathLike,
    extractor: SandboxedExtractor,
) -> pathlib.Path:
    """Writes a copy of the picture or video `source` with `result` drawn in; returns its path.

    The path is `target` followed by .jpg or .mp4 (H.264, no sound; frames at the times at which
    the source shows them). Only the analysed frames of a video have scores: a frame in between
    shows the faces of the nearest one, and says so. Of a long video, the copy has the analysed
    frames alone. Heat maps are drawn if the model has them.

    Raises:
      UserError: nothing could be decoded, according to the result.
      MediaError: the source no longer decodes, or the copy is too large.
      TimeLimitError, WorkerError: see `Sandbox.run`.
    """
    facts = result.media
    if facts is None:
        raise UserError(f"{source} was not decoded: there is nothing to draw into")
    labels = {track: judged.label for track, judged in detector.judge_tracks(result).items()}
    marks = _marks(result.faces, labels, detector.heat_maps(result.faces))
    is_video = result.kind == "video"
    path = pathlib.Path(f"{os.fspath(target)}{'.mp4' if is_video else '.jpg'}")
    if is_video:
        data = extractor.mark_video(source, marks, facts)
    else:
        data = extractor.mark_picture(source, marks)
    with files.replacing(path) as unfinished:
        unfinished.write_bytes(data)
    return path


def _marks(
    faces: Sequence[FaceScore],
    labels: Mapping[int, str | None],
    heat_maps: np.ndarray | None,
) -> list[Mark]:
    heat = [None] * len(faces) if heat_maps is None else heat_maps
    return [
        Mark(
            frame=face.frame,
            box=face.crop.box,
            color=COLORS[labels[face.track] or INCONCLUSIVE],
            text=_text(face, labels[face.track]),
            matrix=face.crop.matrix,
            size=face.crop.image.shape[0],
            heat=heat_map,
        )
        for face, heat_map in zip(faces, heat, strict=True)
    ]


def _text(face: FaceScore, label: str | None) -> str:
    who = face.track + 1  # as pages count them
    if face.quality is not None:
        return words.BOXES["not_judged"].format(who=who, flaw=words.FLAWS[face.quality])
    word = words.BOXES["not_yet"] if label is None else words.LABELS[label]
    percent = phrases.percent(face.score)
    return words.BOXES["frame"].format(who=who, label=word, percent=percent)
