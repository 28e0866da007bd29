"""`dfjax convert-weights`: other libraries' weights in our names."""

import argparse
import json

from dfjax.commands import options
from dfjax.errors import UserError


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
        help="safetensors, npz, Keras' .h5 or dlib's .dat; face_recognition_models: the network in "
        "that package",
    )
    parser.add_argument("--model", metavar="NAME", required=True, help="such as resnet50")
    parser.add_argument("--out", metavar="OUT", required=True, help="the .safetensors to write")
    parser.add_argument(
        "--format",
        metavar="F",
        help="of FILE; needed for pth alone, PyTorch's pickle: opened in a process of its own",
    )
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field of the model that is not the default, as width=32; as often as needed",
    )
    parser.add_argument(
        "--fresh",
        metavar="RULE",
        default="head/.*",
        help="regular expression of parameters that FILE shall not give; '' for none (%(default)s)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.weights import convert_file

    source = arguments.file
    if source == "face_recognition_models":
        from dfjax.faces import detect

        source = detect.embedding_file()
    conversion = convert_file.convert_weights(
        source,
        arguments.out,
        model_name=arguments.model,
        settings=dict(map(_setting, arguments.set)),
        fresh=arguments.fresh,
        format=arguments.format,
    )
    convert_file.print_conversion(conversion, source, arguments.out)
    return 0


def _setting(text: str) -> tuple[str, object]:
    """(field, value) of "width=32" or "mean=[0.5, 0.5, 0.5]"; what is no JSON is a string."""
    field, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: use FIELD=VALUE")
    try:
        value = json.loads(value)
    except ValueError:
        return field, value
    return field, tuple(value) if isinstance(value, list) else value
