"""Speed of a training step on a GPU in bfloat16; peer: torch.compile, channels last.

    python -m benchmarks.gpu [resnet50@224x128 efficientnet_b4@224x64]

Both do the same: forward, backward and AdamW on a batch that lies on the device, float32 weights,
bfloat16 activations. They take turns in one process; rates are medians over turns. MFU is what XLA
counts as operations of dfjax's step, by what the maker states of the device in bfloat16.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory, too

import jax
import torch

from benchmarks import networks, train_step
from benchmarks.networks import Network
from dfjax import utilisation

TABLE = (Network("resnet50", 224, 128), Network("efficientnet_b4", 224, 64))
ROUNDS, SECONDS = 5, 3.0  # turns of each, and what one takes at least
PEERS = {"efficientnet_b4": "tf_efficientnet_b4"}


def main() -> None:
    """Prints a table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="NAME or NAME@SIDExBATCH")
    arguments = parser.parse_args()
    chosen = [network for text in arguments.networks for network in networks.parse(text)] or TABLE
    device = jax.devices()[0]
    if device.platform != "gpu" or not torch.cuda.is_available():
        raise SystemExit(f"JAX computes on {device.device_kind}: this needs an NVIDIA GPU for both")
    print(f"{device.device_kind}, jax {jax.__version__}, torch {torch.__version__}\n")
    print("| network | dfjax, images/s | MFU | torch.compile, images/s | ratio |")
    print("|---|---|---|---|---|")
    for network in chosen:
        ours = train_step.make_dfjax(network, dtype="bfloat16")
        operations = utilisation.operations(ours.compiled)
        rates = measure([ours.step, make_torch(network)])
        one, other = (network.batch * rate for rate in rates)
        most = utilisation.peak(device)
        mfu = f"{operations * rates[0] / most:.1%}" if most else "-"
        print(f"| {network} | {one:,.0f} | {mfu} | {other:,.0f} | {one / other:.2f} |", flush=True)


def make_torch(network: Network) -> Callable[[], object]:
    """The same by PyTorch, from normalized images."""
    import timm

    name = PEERS.get(network.name, network.peer)
    model = timm.create_model(name, num_classes=1).cuda().to(memory_format=torch.channels_last)
    model = torch.compile(model.train())
    shape = network.batch, 3, network.side, network.side
    images = torch.randn(shape, device="cuda").to(memory_format=torch.channels_last)
    labels = (torch.arange(network.batch, device="cuda") % 2).float()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            logit = model(images).squeeze(1)
        loss(logit.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()

    return step


def measure(programs: list[Callable[[], object]]) -> list[float]:
    """Steps a second of each, which take turns; the first steps compile and warm up."""
    for program in programs:
        for _ in range(5):
            program()
    rates: list[list[float]] = [[] for _ in programs]
    for _ in range(ROUNDS):
        for program, found in zip(programs, rates, strict=True):
            began, count = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - began) < SECONDS:
                program()
                count += 1
            found.append(count / elapsed)
    return [statistics.median(found) for found in rates]


if __name__ == "__main__":
    main()
