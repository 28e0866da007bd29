"""How well a face can be seen in its crop. Imports no dlib and no JAX."""

import cv2
import numpy as np


def measure(image: np.ndarray) -> tuple[float, float]:
    """Returns (brightness, sharpness) of a crop, RGB uint8 [S, S, 3].

    Brightness is the mean luma, 0 to 255; sharpness the variance of its Laplacian. Both are taken
    at 128 px, so that crops of any size compare.
    """
    grey = cv2.cvtColor(cv2.resize(image, (128, 128)), cv2.COLOR_RGB2GRAY)
    return float(grey.mean()), float(cv2.Laplacian(grey, cv2.CV_64F).var())
