"""The options of the commands that Apache Beam can distribute."""

import argparse

from dfjax.errors import UserError


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds --runner and --pipeline-options."""
    group = parser.add_argument_group("Apache Beam, instead of local processes")
    group.add_argument(
        "--runner", metavar="NAME", help="DirectRunner, FlinkRunner, SparkRunner, DataflowRunner, …"
    )
    group.add_argument(
        "--pipeline-options",
        nargs="+",
        metavar="OPTION",
        default=(),
        help="of Beam, without dashes: direct_num_workers=2 direct_running_mode=multi_processing",
    )


def read(arguments: argparse.Namespace, *, jobs_are_local: bool = True) -> list[str]:
    """Returns the command line of Beam; empty for local processes.

    Raises:
      UserError: --pipeline-options without --runner, or --jobs with it where `jobs_are_local`.
    """
    if not arguments.runner:
        if arguments.pipeline_options:
            raise UserError("--pipeline-options are for a Beam runner: add --runner NAME")
        return []
    if arguments.jobs and jobs_are_local:
        raise UserError(
            "--jobs is for local processes: leave it out with --runner, whose workers are set by "
            "--pipeline-options"
        )
    names = (f"runner={arguments.runner}", *arguments.pipeline_options)
    return [f"--{option}" for option in names]
