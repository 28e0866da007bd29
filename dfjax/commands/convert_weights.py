"""`dfjax convert-weights`: weights of other libraries, by our names."""

import argparse
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import rich.table

from dfjax import config, console
from dfjax.commands import compile_cache, options
from dfjax.errors import UserError

if TYPE_CHECKING:
    from dfjax.weights import convert_file


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "convert-weights",
        help="turn pretrained weights into a file that a run can start from",
        description="Turn pretrained weights into a file that a run can start from (init_from).",
        run=_run,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="safetensors, npz, Keras' .h5 or dlib's .dat; package:NAME: the file in an installed "
        "package, such as package:face_recognition_models",
    )
    parser.add_argument("--model", metavar="NAME", required=True, help="such as resnet50")
    parser.add_argument("--out", metavar="OUT", required=True, help="the .safetensors to write")
    parser.add_argument(
        "--format",
        metavar="F",
        help="of FILE; needed only for pth, PyTorch's pickle",
    )
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field of the model that is not its default, as width=32; repeat for more fields",
    )
    parser.add_argument(
        "--reinit",
        metavar="RULE",
        default=config.base().reinit,
        help="regular expression of parameters not to take from FILE; '' for none (%(default)s)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.weights import convert_file

    compile_cache.use()
    conversion = convert_file.convert_weights(
        arguments.file,
        arguments.out,
        model_name=arguments.model,
        settings=dict(map(_setting, arguments.set)),
        reinit=arguments.reinit,
        format=arguments.format,
    )
    _print_conversion(conversion, arguments.file, arguments.out)
    return 0


def _setting(text: str) -> tuple[str, object]:
    """(field, value) of "width=32" or "mean=[0.5, 0.5, 0.5]"; a value that is not JSON is text."""
    field, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: use FIELD=VALUE")
    try:
        value = json.loads(value)
    except ValueError:
        return field, value
    return field, tuple(value) if isinstance(value, list) else value


def _print_conversion(conversion: "convert_file.Conversion", source: str, out: str) -> None:
    """Prints which tensors were used, by layer, and what was written where."""
    table = rich.table.Table()
    for column in ("", "layers", "tensors", "parameters", "largest"):
        number = column in ("tensors", "parameters")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for state in ("used", "dropped", "reinitialized"):
        for layer, shapes in _by_layer(getattr(conversion, state)).items():
            count = sum(map(math.prod, shapes))
            largest = max(shapes, key=math.prod)
            table.add_row(state, layer, str(len(shapes)), f"{count:,}", str([*largest]))
    terminal = console.make_console()
    terminal.print(table)
    count = sum(map(math.prod, conversion.used.values()))
    names = f"by the names of {conversion.library}"
    terminal.print(f"wrote {out}: {count:,} numbers of {source}, {names}")


def _by_layer(tensors: Mapping[str, tuple[int, ...]]) -> dict[str, list[tuple[int, ...]]]:
    """Shapes grouped by the first part of their names."""
    grouped: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in tensors.items():
        grouped.setdefault(name.split("/")[0], []).append(shape)
    return grouped
