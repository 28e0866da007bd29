"""`dfjax doctor`: whether this machine and its packages are as dfjax needs them."""

import argparse

from dfjax import console
from dfjax.commands import compile_cache, options

_EXIT_STATUS = """\
exit status:
  0    everything is as it should be
  1    something is not; the lines that begin with "!" say what to do
"""


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    options.add_command(
        subcommands,
        "doctor",
        help="look at devices, packages, codecs, model files, disks and the compile cache",
        description="Look at what of this machine matters to dfjax: versions against their bounds, "
        "devices and their memory, codecs, model files, room on the disks, and whether compiled "
        "programs are kept.",
        run=_run,
        epilog=_EXIT_STATUS,
    )


def _run(arguments: argparse.Namespace) -> int:
    del arguments
    compile_cache.use()
    from dfjax import doctor

    found = list(doctor.examine())
    width = max(len(finding.subject) for finding in found)
    for finding in found:
        mark = "!" if finding.is_wrong else " "
        console.print_line(f"{mark} {finding.subject:{width}}  {finding.text}")
    return 1 if any(finding.is_wrong for finding in found) else 0
