"""How well a crop shows its face: brightness and sharpness. Imports neither dlib nor JAX."""

import cv2
import numpy as np


def measure(image: np.ndarray) -> tuple[float, float]:
    """Returns (brightness, sharpness) of a crop, RGB uint8 [S, S, 3].

    Brightness is the mean luma, 0 to 255; sharpness is the variance of the luma's Laplacian. Both
    are measured at 128 px, so that crops of all sizes are comparable.
    """
    gray = cv2.cvtColor(cv2.resize(image, (128, 128)), cv2.COLOR_RGB2GRAY)
    return float(gray.mean()), float(cv2.Laplacian(gray, cv2.CV_64F).var())
