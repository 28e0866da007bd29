"""Tracking: which faces of successive frames belong to one person."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dfjax.faces.detect import SAME_PERSON, Face

MIN_IOU = 0.3
MAX_LANDMARK_DISTANCE = 0.6  # in distances between the eyes
MAX_GAP = 8  # sampled frames of a file that a track may go without its face

# Positions of dlib's five landmarks in HOG's box of a face: the mean over 83 photographs.
_IN_BOX = np.array([[0.791, 0.297], [0.622, 0.304], [0.204, 0.296], [0.373, 0.303], [0.496, 0.607]])


@dataclasses.dataclass
class _Track:
    number: int
    face: Face
    last_seen: int


class Tracker:
    """Gives faces the numbers of their tracks, which count up from 0 and are never reused.

    A face continues the track that it overlaps most (intersection over union, plus the distance of
    landmarks to decide in crowds) if the track was seen within `max_gap` frames. With embeddings, a
    face that continues no track gets the number of a person with a similar embedding.
    """

    def __init__(self, max_gap: int = 25):
        self._max_gap = max_gap
        self._tracks: list[_Track] = []
        self._next_number = 0
        self._embeddings: dict[int, np.ndarray] = {}

    @property
    def numbers(self) -> set[int]:
        """The tracks that a face may still continue."""
        return {track.number for track in self._tracks}

    def update(
        self, frame: int, faces: list[Face], embed: Callable[[Face], np.ndarray] | None = None
    ) -> list[int]:
        """Returns the track number of each face of frame number `frame`; call in order of frames.

        `embed` returns the embedding of a face; it is called only where a track begins.
        """
        self._tracks = [t for t in self._tracks if frame - t.last_seen <= self._max_gap]
        numbers = self._continue(frame, faces)
        for index, face in enumerate(faces):
            if index not in numbers:
                numbers[index] = self._begin(None if embed is None else embed(face), numbers)
                self._tracks = [t for t in self._tracks if t.number != numbers[index]]
                self._tracks.append(_Track(numbers[index], face, frame))
        return [numbers[index] for index in range(len(faces))]

    def cut(self) -> None:
        """Ends all tracks: what follows is another shot."""
        self._tracks = []

    def _continue(self, frame: int, faces: list[Face]) -> dict[int, int]:
        """The track numbers of those faces that continue a track, by index; most alike first."""
        pairs = sorted(
            (-likeness, position, index)
            for position, track in enumerate(self._tracks)
            for index, face in enumerate(faces)
            if (likeness := _likeness(track.face, face)) > 0
        )
        numbers: dict[int, int] = {}
        continued: set[int] = set()
        for _, position, index in pairs:
            if position in continued or index in numbers:
                continue
            track = self._tracks[position]
            track.face, track.last_seen = faces[index], frame
            numbers[index] = track.number
            continued.add(position)
        return numbers

    def _begin(self, embedding: np.ndarray | None, numbers: dict[int, int]) -> int:
        """The number of an earlier person who is not in this frame, or a new one."""
        if embedding is not None:
            absent = self._embeddings.keys() - numbers.values()
            distances = {n: np.linalg.norm(self._embeddings[n] - embedding) for n in sorted(absent)}
            if distances and min(distances.values()) < SAME_PERSON:
                return min(distances, key=distances.get)
            self._embeddings[self._next_number] = embedding
        self._next_number += 1
        return self._next_number - 1


def follow_boxes(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the track numbers, int [N], of faces of which only the boxes are known.

    `frames` int [N] are in rising order, `boxes` [N, 4] in pixels of the frame. The frames are
    sampled evenly from a clip; a track may go without its face in `MAX_GAP` of them.
    """
    sampled = np.unique(frames)
    spacing = np.diff(sampled).min() if len(sampled) > 1 else 1
    tracker, numbers = Tracker(MAX_GAP), np.zeros(len(frames), int)
    for frame in sampled:
        rows = np.flatnonzero(frames == frame)
        faces = [Face(boxes[row], _usual_landmarks(boxes[row]), 0.0) for row in rows]
        numbers[rows] = tracker.update(round((frame - sampled[0]) / spacing), faces)
    return numbers


def _usual_landmarks(box: np.ndarray) -> np.ndarray:
    return box[:2] + _IN_BOX * (box[2:] - box[:2])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the intersection over union, 0 to 1, of boxes [4] (x0, y0, x1, y1)."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(intersection / (areas - intersection))


def _likeness(a: Face, b: Face) -> float:
    """0 for faces of two people; otherwise grows with overlap and closeness of landmarks."""
    overlap = iou(a.box, b.box)
    distance = np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / _eye_distance(a)
    if overlap < MIN_IOU and distance > MAX_LANDMARK_DISTANCE:
        return 0.0
    return overlap + max(0.0, 1.0 - distance)


def _eye_distance(face: Face) -> float:
    left, right = (slice(2, 4), slice(0, 2)) if len(face.landmarks) == 5 else ([36, 39], [42, 45])
    gap = face.landmarks[left].mean(0) - face.landmarks[right].mean(0)
    return max(1.0, float(np.linalg.norm(gap)))
