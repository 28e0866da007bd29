"""Detectors whose scores a test can compute by hand."""

import numpy as np

from dfjax import model_card
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import scorer
from dfjax.inference.detector import Detector
from tests import cards

SPEC = CropSpec(size=64, detection_border=0.0, encoding="jpeg")
AS_IS = CropSpec(crops="as-is", detector="none", landmarks=0, size=64, encoding="png")


def brightness_logits(crops: np.ndarray) -> np.ndarray:
    """Logits of crops: bright ones are fake."""
    return (crops.astype(np.float64).mean((1, 2, 3)) - 110) / 20


def picture_logits(crops: np.ndarray) -> np.ndarray:
    """Logits that fall or rise by 0.05 with each gray level of brightness, warmth and lean.

    Warmth is red over blue, lean the left half over the right one. A score in the middle then moves
    by 0.02 when one of them changes by 1.6 of 255.
    """
    crops = crops.astype(np.float64)
    warmth = (crops[..., 0] - crops[..., 2]).mean((1, 2))
    left, right = np.split(crops, 2, axis=2)
    lean = left.mean((1, 2, 3)) - right.mean((1, 2, 3))
    return brightness_logits(crops) + (warmth + lean) / 20


def make_detector(
    crop_spec: CropSpec = SPEC,
    *,
    logits=brightness_logits,
    strangeness=None,
    heat: np.ndarray | None = None,
    reidentify=False,
    **card,
) -> Detector:
    """A detector by `logits`; `heat` [h, w] is every crop's map, `card` fields of its card.

    `strangeness`, a function of crops as `logits` is, makes a gate with a limit of 0.
    """
    fields = {
        "model_name": "brightness",
        "model_arguments": {},
        "image_size": crop_spec.size,
        "crop_spec": crop_spec,
        "decisions": {"frame": cards.make_threshold()},
        "weights": "0" * 64,
        "step": 1,
        "synthetic": False,
        "protocol": {},
        **card,
    }
    outputs = {"logit": logits}
    if strangeness is not None:
        outputs["strangeness"] = strangeness
        fields["quality"] = model_card.QualityLimits(max_strangeness=0.0)
        fields["embedding"] = model_card.Embedding("as the test says", (("maps", 1),), "", {})

    def network(crops: np.ndarray) -> dict[str, np.ndarray]:
        return {name: function(crops) for name, function in outputs.items()}

    heat_maps = None if heat is None else lambda crops: np.tile(heat, (len(crops), 1, 1))
    model = scorer.Scorer(model_card.ModelCard(**fields), "flax", network, heat_maps)
    return Detector(model, reidentify=reidentify)
