"""`dfjax serve`: flags of the HTTP server; its limits stand in `serve.settings`."""

import argparse
import importlib.util

from dfjax.commands import compile_cache, options
from dfjax.errors import UserError

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")  # of the extra `serve`


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
        "--allowed-host",
        action="append",
        type=_host,
        default=[],
        metavar="NAME",
        help="name by which the server is asked; repeat it for more (on loopback: localhost alone)",
    )
    parser.add_argument(
        "--allowed-origin",
        action="append",
        type=_origin,
        default=[],
        metavar="URL",
        help="site whose pages may use the server, as https://app.example; repeat it for more "
        "(none)",
    )
    parser.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        default=options.num_workers(),
        help="processes that decode uploads, each with up to 2 GiB of memory (%(default)s: one a "
        "core, as many as fit, at most 8)",
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
    options.add_trust_list(parser)
    parser.add_argument(
        "--require-sandbox",
        action="store_true",
        help="do not start where the kernel lacks what confines the processes that decode",
    )


def _host(text: str) -> str:
    from dfjax.serve import origins

    if not origins.is_host(text):
        raise argparse.ArgumentTypeError(f"{text}: use a name or an address, without a port")
    return text


def _origin(text: str) -> str:
    from dfjax.serve import origins

    if not origins.is_origin(text):
        raise argparse.ArgumentTypeError(f"{text}: use https://NAME or https://NAME:PORT")
    return text


def _require_packages() -> None:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'{", ".join(missing)} is not installed: pip install "dfjax[serve]"')


def _run(arguments: argparse.Namespace) -> int:
    _require_packages()
    from dfjax.serve import app
    from dfjax.serve.settings import Settings

    compile_cache.use()
    app.serve(
        Settings(
            model=arguments.model,
            runtime=arguments.runtime,
            expect=arguments.expect,
            host=arguments.host,
            port=arguments.port,
            allowed_hosts=arguments.allowed_host,
            allowed_origins=arguments.allowed_origin,
            workers=arguments.jobs,
            state=arguments.state,
            keep_seconds=arguments.keep_jobs,
            trust_list=arguments.trust_list,
            require_sandbox=arguments.require_sandbox,
        )
    )
    return 0
