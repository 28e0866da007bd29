"""Which networks the benchmarks against PyTorch measure, and what timm calls them."""

import argparse
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Network:
    """A network to measure.

    Attributes:
      name: of the model registry.
      side: of its images, px.
      batch: images per step.
    """

    name: str
    side: int
    batch: int

    def __str__(self) -> str:
        return f"{self.name}@{self.side}x{self.batch}"

    @property
    def peer(self) -> str:
        """The same network in timm."""
        return PEERS.get(self.name, self.name)


TABLE = (
    Network("resnet18", 112, 16),
    Network("resnet50", 128, 16),
    Network("resnet50", 224, 8),
    Network("resnext50", 128, 16),
    Network("vgg16_bn", 128, 16),
    Network("xception", 299, 8),
    Network("efficientnet_b0", 128, 16),
    Network("efficientnet_b0", 224, 8),
    Network("efficientnet_lite0", 128, 16),
    Network("efficientnet_lite0", 224, 8),
    Network("convnext_tiny", 128, 16),
    Network("vit_s16", 224, 8),
)
PEERS = {
    "resnext50": "resnext50_32x4d",
    "resnext101": "resnext101_32x8d",
    "xception": "legacy_xception",
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "efficientnet_lite1": "tf_efficientnet_lite1",
    "efficientnet_lite2": "tf_efficientnet_lite2",
    "vit_s16": "vit_small_patch16_224",
    "vit_b16": "vit_base_patch16_224",
    "vit_l16": "vit_large_patch16_224",
}


def parse(text: str) -> list[Network]:
    """Returns the networks that "NAME" or "NAME@SIDExBATCH" on the command line asks for.

    Raises:
      argparse.ArgumentTypeError: it is neither, or a name alone that is not in `TABLE`.
    """
    if found := re.fullmatch(r"(\w+)@([1-9]\d*)x([1-9]\d*)", text):
        return [Network(found[1], int(found[2]), int(found[3]))]
    if named := [network for network in TABLE if network.name == text]:
        return named
    known = ", ".join(sorted({network.name for network in TABLE}))
    raise argparse.ArgumentTypeError(
        f"{text}: give NAME@SIDExBATCH, as resnet34@224x8, or one of {known}"
    )
