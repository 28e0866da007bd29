"""The peer: networks of timm in PyTorch on the CPU, with random weights, channels last."""

import contextlib
import os

import torch

from benchmarks.networks import Network

# torchvision, which timm imports, lacks its operators if it was built for another PyTorch. None of
# them is needed: it only insists that they are declared.
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        torch.library.define(
            f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )

LAST = torch.channels_last


def make_network(network: Network, *, compiled: bool) -> torch.nn.Module:
    """Returns timm's network with one logit, in training mode, and has PyTorch use all cores."""
    import timm

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)  # as XLA does
    sized = {"img_size": network.side} if network.peer.startswith("vit_") else {}
    model = timm.create_model(network.peer, num_classes=1, **sized).to(memory_format=LAST)
    return torch.compile(model) if compiled else model


def make_images(network: Network) -> torch.Tensor:
    """Returns a batch of noise, normalized: what its network takes."""
    shape = network.batch, 3, network.side, network.side
    return torch.randn(shape).to(memory_format=LAST)


def autocast(dtype: str) -> contextlib.AbstractContextManager:
    """A block in which what gains from it is computed in `dtype`, if that is not float32."""
    return torch.autocast("cpu", getattr(torch, dtype), enabled=dtype != "float32")
