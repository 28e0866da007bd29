"""`dfjax export`: a run, or what comes with dfjax, as SavedModel, StableHLO, ONNX and weights."""

import argparse
import pathlib
from typing import Any

from dfjax import console
from dfjax.commands import compile_cache, options
from dfjax.export.formats import FORMATS
from dfjax.weights import shipped


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "export",
        help="write a trained model as SavedModel, StableHLO, ONNX and safetensors",
        description="Write a trained model for other runtimes; each is compared with it first.",
        run=_run,
    )
    parser.add_argument(
        "--model",
        metavar="M",
        default=str(shipped.DETECTOR),
        help="workdir of a finished run, or folder of an export that holds safetensors (the "
        "detector that comes with dfjax)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=options.utf8_path,
        required=True,
        help="folder for the export",
    )
    parser.add_argument(
        "--formats",
        metavar="NAMES",
        default=",".join(FORMATS),
        help="names joined by commas (all: %(default)s)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.export import export
    from dfjax.inference import manifest

    compile_cache.use()
    report = export.export(arguments.model, arguments.out, arguments.formats.split(","))
    _print_report(report, arguments.model)
    digest = manifest.digest(pathlib.Path(arguments.out, manifest.FILE))
    console.print_line(f"wrote {arguments.out}; to load no other export: --expect {digest}")
    return 0


def _print_report(report: dict[str, Any], model: str) -> None:
    crops = f"{report['crops']} {report['crops_are']}"
    console.print_line(f"largest deviations from {model} on {crops}:")
    for artefact, by_runtime in report["deviations"].items():
        for runtime, by_quantity in by_runtime.items():
            values = ", ".join(f"{name} {value:.1e}" for name, value in by_quantity.items())
            console.print_line(f"  {artefact} by {runtime}: {values}")
