"""`dfjax serve`: flags of the HTTP server; its limits stand in `serve.settings`."""

import argparse

from dfjax.commands import options, process


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "serve",
        help="answer over HTTP, with a web page",
        description="Answer over HTTP, with a web page at /. M may also be a folder whose "
        "subfolders are versions of a model, named by integers: the highest serves.",
        run=_run,
    )
    options.add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        default=options.num_workers(),
        help="processes that decode uploads, each with up to 2 GiB of memory (%(default)s: one a "
        "core, as many as fit, at most 8)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import config
    from dfjax.serve import app

    process.use_compile_cache(config.base().compile_cache)
    app.serve(
        arguments.model,
        runtime=arguments.runtime,
        expect=arguments.expect,
        host=arguments.host,
        port=arguments.port,
        jobs=arguments.jobs,
    )
    return 0
