"""The worst errors of a prepared split as pictures."""

import base64

import numpy as np

from dfjax.data import builder
from dfjax.media import image
from dfjax.report import pictures


def test_faces_are_found_by_clip_frame_and_face(prepared):
    records = builder.open_dataset(prepared).records("test")
    chosen = [records[row] for row in (7, 2)]
    worst = [
        {"clip": each["clip"], "frame": int(each["frame"]), "face": int(each["face"]), "score": 0.1}
        for each in chosen
    ]
    *found, lost = pictures.add([*worst, {**worst[0], "face": 9}], records)
    assert lost["picture"] is None
    for entry, record in zip(found, chosen, strict=True):
        prefix, data = entry["picture"].split(",")
        assert prefix == "data:image/jpeg;base64"
        shown = image.decode_image(base64.b64decode(data)).astype(int)
        crop = image.decode_image(record["image"]).astype(int)
        assert shown.shape == (pictures.SIDE, pictures.SIDE, 3)
        assert np.abs(shown.mean((0, 1)) - crop.mean((0, 1))).max() < 2
        assert entry["score"] == 0.1
