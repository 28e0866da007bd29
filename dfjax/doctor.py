"""What of this machine and its packages matters to dfjax, and what is wrong with it."""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from packaging import requirements

from dfjax import files
from dfjax.errors import UserError
from dfjax.faces import detect
from dfjax.inference import manifest
from dfjax.media import container
from dfjax.weights import shipped

PLENTY = 5 << 30  # bytes on a disk: a small corpus, or some checkpoints


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
      subject: what it is about.
      text: what is there, and what to do where that is not right.
      is_wrong: whether something will not work as it is.
    """

    subject: str
    text: str
    is_wrong: bool = False


def examine() -> Iterator[Finding]:
    """Yields what is found, from the interpreter to the compiler's cache."""
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for look in (_packages, _devices, _memory, _codecs, _models, _disks, _cache):
        yield from look()


def _packages() -> Iterator[Finding]:
    """Versions against the bounds that dfjax states; optional packages that are absent are fine."""
    try:
        stated = importlib.metadata.requires("dfjax") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("dfjax", "runs from its source tree: its bounds are in pyproject.toml")
        return
    yield Finding("dfjax", importlib.metadata.version("dfjax"))
    fitting = 0
    for requirement in map(requirements.Requirement, stated):
        is_optional = "extra" in str(requirement.marker or "")
        if not is_optional and requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            if not is_optional:
                yield Finding("packages", f"{requirement.name} is missing: install dfjax", True)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            fitting += 1
        else:
            bounds = f"{requirement.name}{requirement.specifier}"
            yield Finding("packages", f"{requirement.name} {version} is not {bounds}", True)
    versions = ", ".join(f"{name} {_version(name)}" for name in ("jax", "jaxlib", "flax", "grain"))
    yield Finding("packages", f"{fitting} fit their bounds, among them {versions}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(none)"


def _devices() -> Iterator[Finding]:
    try:
        devices = jax.devices()
    except RuntimeError as error:
        yield Finding("devices", f"JAX finds none: {error}", True)
        return
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    cores = f"{_usable_cores()} of {os.cpu_count()} cores for this process"
    yield Finding("devices", f"{len(devices)} x {kinds}, {cores}")
    if devices[0].platform == "cpu" and shutil.which("nvidia-smi"):
        advice = "there is an NVIDIA driver, and JAX does not use it: pip install 'dfjax[cuda]'"
        yield Finding("devices", advice, True)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory() -> Iterator[Finding]:
    """How much of a device JAX takes at once, which other programs then lack."""
    for device in jax.local_devices():
        if stats := device.memory_stats():
            limit = stats.get("bytes_limit", 0) / 2**30
            yield Finding("memory", f"{device}: JAX may take {limit:.1f} GiB")
    if jax.default_backend() == "gpu":
        takes = os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true").lower() != "false"
        share = os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.75")
        text = (
            f"{float(share):.0%} of a GPU's memory is taken at the start"
            if takes
            else ("a GPU's memory is taken as it is needed")
        )
        yield Finding("memory", f"{text} (XLA_PYTHON_CLIENT_PREALLOCATE)")


def _codecs() -> Iterator[Finding]:
    missing = container.missing_codecs()
    if missing:
        yield Finding("codecs", f"FFmpeg does not decode {', '.join(missing)}: reinstall av", True)
    else:
        yield Finding("codecs", f"{', '.join(sorted(container.CODECS))} can be decoded")


def _models() -> Iterator[Finding]:
    for find in (lambda: detect.landmark_file(5), detect.embedding_file):
        try:
            yield Finding("models", find())
        except FileNotFoundError as error:
            yield Finding("models", str(error), True)
    try:
        there = manifest.read(shipped.DETECTOR)
        for name in there.sha256:
            there.require(name)
        yield Finding("models", f"{shipped.DETECTOR}, whole")
    except UserError as error:
        yield Finding("models", str(error), True)


def _disks() -> Iterator[Finding]:
    for name, folder in (
        ("here", os.getcwd()),
        ("temporary files", os.environ.get("TMPDIR", "/tmp")),
    ):
        free = shutil.disk_usage(folder).free
        advice = "" if free > PLENTY else ": a run or a corpus may not fit"
        yield Finding("disk", f"{files.free_space(folder)} left {name} ({folder}){advice}")


def _cache() -> Iterator[Finding]:
    """The folder of compiled programs, and whether a program comes back from it."""
    folder = jax.config.jax_compilation_cache_dir
    if not folder:
        yield Finding("compile cache", "off: every start compiles (config.compile_cache)")
        return
    programs = list(pathlib.Path(folder).glob("*-cache"))
    size = sum(path.stat().st_size for path in programs) / 2**20
    yield Finding("compile cache", f"{folder}: {len(programs)} programs, {size:,.0f} MiB")
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
    for _ in range(2):
        jax.clear_caches()
        jax.jit(_probe)(jnp.ones(7)).block_until_ready()
    hits = events.count("/jax/compilation_cache/cache_hits")
    yield Finding(
        "compile cache",
        "a program came back from it" if hits else "no program came back: it cannot be written",
        not hits,
    )


def _probe(x: jax.Array) -> jax.Array:
    return jnp.sin(x) @ jnp.cos(x)
