"""`dfjax export`: a run as SavedModel, StableHLO and ONNX."""

import argparse

from dfjax.commands import options


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "export",
        help="write a trained model as SavedModel, StableHLO and ONNX",
        description="Write a trained model for other runtimes; each is compared with it first.",
        run=_run,
    )
    parser.add_argument("--model", metavar="RUN", required=True, help="workdir of a finished run")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for the export")
    parser.add_argument(
        "--formats",
        default="savedmodel,stablehlo,onnx",
        help="which, joined by commas (%(default)s)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import export

    report = export.export(arguments.model, arguments.out, formats=arguments.formats.split(","))
    for artefact, compared in report["deviations"].items():
        for runtime, found in compared.items():
            name, deviation = next(iter(found.items()))
            print(f"{artefact} by {runtime}: {name} off by {deviation:.1e} at most")
    print(f"wrote {arguments.out}, equal to the model of {arguments.model}")
    return 0
