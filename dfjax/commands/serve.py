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
        default=options.num_cores(),
        help="processes that decode uploads (%(default)s)",
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="folder of uploads and jobs, which a server that is started again goes on with (one "
        "below TMPDIR)",
    )
    parser.add_argument(
        "--keep-jobs",
        type=float,
        metavar="SECONDS",
        default=600.0,
        help="how long the report of a finished job is kept (%(default)s)",
    )
    parser.add_argument(
        "--require-sandbox",
        action="store_true",
        help="do not start where the kernel lacks what confines the processes that decode",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import config
    from dfjax.serve import app

    process.use_compile_cache(config.base().compile_cache)
    app.serve(
        arguments.model,
        runtime=arguments.runtime,
        host=arguments.host,
        port=arguments.port,
        jobs=arguments.jobs,
        state=arguments.state,
        keep_seconds=arguments.keep_jobs,
        require_sandbox=arguments.require_sandbox,
    )
    return 0
