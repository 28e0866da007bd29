"""What happens to pairs of crops between the loader and the network, as jitted functions of arrays.

Images are planes here, float32 [3, S, S] in grey levels 0..255, masks and fields [S, S]: along the
last axis every processor computes many pixels at once, which three channels there would prevent.
Points are (x, y) in units of the side of the crop, 0..1; the centre of pixel i is at (i + .5) / S.
Functions are written for one image or one pair, and mapped over a batch by `batch.augment`.
"""
