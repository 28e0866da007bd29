"""Which face of a frame is which face of the frames before."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dfjax.faces.detect import SAME_PERSON, Face

MIN_IOU = 0.3
MAX_LANDMARK_DISTANCE = 0.6  # in distances between the eyes
MAX_GAP = 8  # sampled frames of a file that a track may miss its face

# Where dlib's five landmarks lie in HOG's box of a face: the mean over 83 photographs.
_IN_BOX = np.array([[0.791, 0.297], [0.622, 0.304], [0.204, 0.296], [0.373, 0.303], [0.496, 0.607]])


@dataclasses.dataclass
class _Track:
    number: int
    face: Face
    last_seen: int


class Tracker:
    """Numbers faces from frame to frame; numbers count up from 0 and are never used again.

    A face continues the track that it overlaps most (intersection over union, with the landmarks as
    judges where faces crowd), if the track was seen within `max_gap` frames. Where embeddings are
    given, a face that continues none is a person seen before if its embedding says so.
    """

    def __init__(self, max_gap: int = 25):
        self._max_gap = max_gap
        self._tracks: list[_Track] = []
        self._next = 0
        self._people: dict[int, np.ndarray] = {}

    @property
    def numbers(self) -> set[int]:
        """The tracks that a face may still continue."""
        return {each.number for each in self._tracks}

    def update(
        self, frame: int, faces: list[Face], embed: Callable[[Face], np.ndarray] | None = None
    ) -> list[int]:
        """Returns the track of each face of frame number `frame`; frames come in rising order.

        `embed` gives a face's embedding; it is asked where a track begins.
        """
        self._tracks = [t for t in self._tracks if frame - t.last_seen <= self._max_gap]
        pairs = sorted(
            (
                (-_likeness(track.face, face), position, index)
                for position, track in enumerate(self._tracks)
                for index, face in enumerate(faces)
                if _likeness(track.face, face) > 0
            ),
        )
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for _, position, index in pairs:
            if position in taken or index in numbers:
                continue
            track = self._tracks[position]
            track.face, track.last_seen = faces[index], frame
            numbers[index] = track.number
            taken.add(position)
        for index, face in enumerate(faces):
            if index not in numbers:
                numbers[index] = self._begin(None if embed is None else embed(face), numbers)
                self._tracks = [t for t in self._tracks if t.number != numbers[index]]
                self._tracks.append(_Track(numbers[index], face, frame))
        return [numbers[index] for index in range(len(faces))]

    def _begin(self, embedding: np.ndarray | None, seen: dict[int, int]) -> int:
        """The number of a person seen before and not in this frame, or a new one."""
        if embedding is not None:
            absent = {n: each for n, each in self._people.items() if n not in seen.values()}
            apart = {n: np.linalg.norm(each - embedding) for n, each in absent.items()}
            if apart and min(apart.values()) < SAME_PERSON:
                return min(apart, key=apart.get)
            self._people[self._next] = embedding
        self._next += 1
        return self._next - 1


def follow_boxes(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the tracks, int [N], of faces that only their boxes are known of.

    `frames` int [N] rise; `boxes` are [N, 4] in pixels of the frame. The frames are those that were
    sampled of a clip, evenly spread: a track may miss its face in `MAX_GAP` of them.
    """
    used = np.unique(frames)
    spacing = np.diff(used).min() if len(used) > 1 else 1
    tracker, numbers = Tracker(MAX_GAP), np.zeros(len(frames), int)
    for number in used:
        here = np.flatnonzero(frames == number)
        faces = [Face(boxes[i], _usual_landmarks(boxes[i]), 0.0) for i in here]
        numbers[here] = tracker.update(round((number - used[0]) / spacing), faces)
    return numbers


def _usual_landmarks(box: np.ndarray) -> np.ndarray:
    return box[:2] + _IN_BOX * (box[2:] - box[:2])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Returns intersection over union, 0..1, of boxes [4] (x0, y0, x1, y1)."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    both = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(inside / (both - inside))


def _likeness(a: Face, b: Face) -> float:
    """0 for two faces that are not one, else rising with overlap and with nearness of landmarks."""
    overlap = iou(a.box, b.box)
    distance = np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / _eye_distance(a)
    if overlap < MIN_IOU and distance > MAX_LANDMARK_DISTANCE:
        return 0.0
    return overlap + max(0.0, 1.0 - distance)


def _eye_distance(face: Face) -> float:
    left, right = (slice(2, 4), slice(0, 2)) if len(face.landmarks) == 5 else ([36, 39], [42, 45])
    gap = face.landmarks[left].mean(0) - face.landmarks[right].mean(0)
    return max(1.0, float(np.linalg.norm(gap)))
