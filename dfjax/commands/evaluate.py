"""`dfjax evaluate`: a run or an export is scored on prepared data."""

import argparse

from dfjax import allocator
from dfjax.commands import compile_cache, options, process
from dfjax.errors import UserError


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "evaluate",
        help="score a run or an export on prepared data",
        description="Score a run or an export on prepared data: scores.parquet, scores.csv, "
        "metrics.json and curves.png for each split, and report.json of all. Of a run, the model "
        "card is written again: its decisions are fitted on its own validation split.",
        run=_run,
    )
    options.add_model(parser)
    parser.add_argument(
        "--data",
        metavar="DIR:SPLIT",
        nargs="+",
        help="splits of prepared datasets (of a run: its own test split)",
    )
    parser.add_argument("--out", metavar="DIR", help="for the results (of a run: RUN/eval)")
    options.add_by(parser)
    parser.add_argument(
        "--abstain-error-rate",
        metavar="R",
        type=float,
        help="of a run: share of validation reals that may be called fake, and of fakes that may "
        "be called real; scores between are inconclusive (as its card has it, or 0.05)",
    )
    parser.add_argument(
        "--allow-other-crops",
        action="store_true",
        help="score data whose faces are cut out otherwise than those that the model learned from",
    )


def _run(arguments: argparse.Namespace) -> int:
    allocator.keep_freed_memory()
    from dfjax.buckets import workdir

    compile_cache.use()
    with workdir.opened(arguments.model) as model:
        arguments.model = str(model.path)
        return _evaluate(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from dfjax import config, evaluate, run_folder

    base = config.base()
    if not run_folder.is_run(arguments.model):
        return _evaluate_export(arguments)
    if arguments.runtime not in (None, "flax"):
        raise UserError(f"{arguments.model} is a run, for runtime flax: leave --runtime out")
    if arguments.expect is not None:
        raise UserError(f"{arguments.model} is a run, and --expect is for exports: leave it out")
    base.eval.data = tuple(arguments.data or ())
    base.eval.by = tuple(arguments.by)
    base.eval.abstain_error_rate = arguments.abstain_error_rate
    base.eval.allow_other_crops = arguments.allow_other_crops
    evaluate.evaluate(base, arguments.model, arguments.out)
    return 0


def _evaluate_export(arguments: argparse.Namespace) -> int:
    from dfjax import evaluate

    if arguments.abstain_error_rate is not None:
        raise UserError("--abstain-error-rate is for runs: the decisions of an export are frozen")
    if arguments.out is None:
        raise UserError(f"{arguments.model} is an export: add --out for the results")
    with process.printed_notes("dfjax.inference"):
        evaluate.evaluate_export(
            arguments.model,
            arguments.data or (),
            arguments.out,
            runtime=arguments.runtime,
            expect=arguments.expect,
            allow_other_crops=arguments.allow_other_crops,
            by=arguments.by,
        )
    return 0
