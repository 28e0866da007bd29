"""One face, one score: through the training pipeline, files, every export and both protocols."""

import base64
import csv
import struct

import numpy as np
import pytest
import tritonclient.http
from PIL import Image

from dfjax import evaluate, train
from dfjax.corpora import folder
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.data import builder
from dfjax.export import export
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import runtimes
from dfjax.inference.detector import Detector
from dfjax.media import image, video
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
from tests import tiny_run

TOLERANCE = 1e-5
SPEC = CropSpec(size=64, working_size=320, detection_border=0.0)


def write_sideways(path, frames):
    """A video whose frames lie on their side, and a display matrix that sets them upright."""
    video.write_video(path, [np.rot90(frame).copy() for frame in frames], fps=25, crf=18)
    data = bytearray(path.read_bytes())
    clockwise = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = clockwise
    path.write_bytes(data)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Drawn faces; the test split is one picture in every EXIF orientation and a turned video."""
    root = tmp_path_factory.mktemp("corpus")
    settings = synthetic.Settings(frames=5)
    rows = ["path,label,split"]
    for person in range(8):
        original = synthetic.film(settings, person, 0)
        # Dark enough to be learned in a few steps: an untrained model scores all faces alike.
        fake = [frame // 2 for frame in synthetic.forge(settings, person, 0, original)]
        for label, frames in enumerate((original.frames, fake)):
            name = f"{person}_{label}.png"
            Image.fromarray(frames[0]).save(root / name)
            rows.append(f"{name},{label},{'train' if person < 4 else 'val'}")
    last = synthetic.film(settings, 9, 0).frames
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = Image.fromarray(last[0])
        stored = upright.transpose(_UNDO[orientation]) if orientation > 1 else upright
        name = f"exif{orientation}.jpg"
        stored.save(root / name, quality=97, subsampling=0, exif=exif)
        rows.append(f"{name},{orientation % 2},test")
    write_sideways(root / "turned.mp4", last)
    rows.append("turned.mp4,0,test")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


# What such a camera does to an upright picture: the inverse of what the tag asks for.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def data(corpus, tmp_path_factory):
    """The corpus, prepared."""
    out = tmp_path_factory.mktemp("prepared_faces")
    prepare.prepare(folder.read_folder(corpus), out, Settings(SPEC, num_frames=4))
    return out


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def trained(request, data, tmp_path_factory):
    """A run on the corpus, in either type: its workdir, its test scores and its crops by
    (file, frame).
    """
    changes = {
        "data.image_size": 48,  # not the crops' size: resizing is part of the model
        "model.dtype": request.param,
        "num_steps": 12,
        "optimizer.warmup_steps": 2,
        "evals.val.every": 12,
        "checkpoint_every": 12,
        "eval.trivial_cues": 0,
    }
    config = tiny_run.make_config(data, **changes)
    workdir = tmp_path_factory.mktemp("run_of_faces")
    train.train(config, workdir)
    evaluate.evaluate(config, workdir)
    rows = csv.DictReader(
        (workdir / "eval" / f"{data.name}-test" / "scores.csv").read_text().splitlines()
    )
    scores = {(r["clip"].rsplit("/")[-1], int(r["frame"])): float(r["score"]) for r in rows}
    assert len(scores) == 8 + 4
    records = builder.open_dataset(data).records("test")
    stored = {
        (r["clip"].rsplit("/")[-1], r["frame"]): r["image"]
        for r in (records[i] for i in range(len(records)))
    }
    return workdir, scores, stored


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("export_of_faces") / "model"
    export.export(trained[0], out)
    return out


def files_of(corpus):
    return [*(f"exif{orientation}.jpg" for orientation in range(1, 9)), "turned.mp4"]


def assert_same(got, scores):
    assert got.keys() == scores.keys()
    worst = max(abs(got[key] - scores[key]) for key in scores)
    assert worst <= TOLERANCE, worst


def test_scores_differ_between_faces(trained):
    # Or the agreement below would mean nothing.
    _, scores, _ = trained
    assert np.ptp(list(scores.values())) > 100 * TOLERANCE


@pytest.mark.parametrize("runtime", [None, *runtimes.RUNTIMES])
def test_files_score_as_the_pipeline_does(corpus, trained, exported, runtime):
    """By the run (None), and by every runtime of its export."""
    workdir, scores, _ = trained
    detector = Detector.load(exported if runtime else workdir, runtime=runtime)
    got = {}
    for name in files_of(corpus):
        result = detector.file(corpus / name, num_frames=4)
        got |= {(name, face.frame): face.score for face in result.faces}
    assert_same(got, scores)


def test_server_scores_as_the_pipeline_does(corpus, trained, exported, start):
    _, scores, stored = trained
    with start(exported, num_frames=4) as server:
        detected = {}
        for name in files_of(corpus):
            with (corpus / name).open("rb") as file:
                answer = server.client.post("/v1/detect", files={"file": (name, file)})
            assert answer.status_code == 200, answer.text
            for entry in answer.json()["timeline"]:
                (face,) = entry["faces"]
                detected[name, entry["frame"]] = face["score"]
        assert_same(detected, scores)

        keys = list(stored)
        instances = [{"b64": base64.b64encode(stored[key]).decode()} for key in keys]
        answer = server.client.post("/v1/models/dfjax:predict", json={"instances": instances})
        assert answer.status_code == 200, answer.text
        predicted = [row["score"] for row in answer.json()["predictions"]]
        assert_same(dict(zip(keys, predicted, strict=True)), scores)

        client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}")
        crops = np.stack([image.decode_image(stored[key]) for key in keys])
        pixels = tritonclient.http.InferInput("image", list(crops.shape), "UINT8")
        pixels.set_data_from_numpy(crops)
        answer = client.infer("dfjax", [pixels])
        assert_same(dict(zip(keys, answer.as_numpy("score").tolist(), strict=True)), scores)
