"""A server refuses a verdict on a face unlike the training data, by each of its protocols."""

import numpy as np

from dfjax.inference import scorer
from dfjax.media import image
from tests import gated


def test_a_stranger_is_inconclusive_by_every_protocol(start, gated_run):
    crops = np.stack([gated.make_pictures(2)[0], gated.make_stranger()])
    local = scorer.load(gated_run)
    logit, strangeness, _ = local.outputs(crops).T
    with start(gated_run) as server:
        content = {"signature_name": "crops", "instances": crops.tolist()}
        known, strange = server.client.post("/v1/models/dfjax:predict", json=content).json()[
            "predictions"
        ]
        assert strange["label"] == "inconclusive"
        assert known["label"] == local.card.decide_crop(local.card.score(logit)[0], strangeness[0])
        np.testing.assert_allclose(
            [known["strangeness"], strange["strangeness"]], strangeness, rtol=1e-4, atol=1e-3
        )

        tensor = {"name": "image", "datatype": "UINT8", "shape": list(crops.shape)}
        content = {"inputs": [{**tensor, "data": crops.ravel().tolist()}]}
        answer = server.client.post("/v2/models/dfjax/infer", json=content).json()
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        assert list(outputs) == ["score", "logit", "label", "strangeness"]
        assert outputs["label"] == [known["label"], "inconclusive"]
        described = server.client.get("/v2/models/dfjax").json()["outputs"]
        assert [output["name"] for output in described] == list(outputs)

        file = {"file": ("strange.png", image.encode_image(crops[1], "png"))}
        written = server.client.post("/v1/detect", files=file).json()
        assert written["verdict"]["label"] == "inconclusive"
        assert written["verdict"]["reason"] == "unlike_training"
        assert (
            written["timeline"][0]["faces"][0]["quality"] == "unlike_training"
        )  # as the page shows
