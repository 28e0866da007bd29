"""`dfjax robustness`: what distortions leave of a model's AUC."""

import argparse
from typing import TYPE_CHECKING

from dfjax import allocator, registry
from dfjax.commands import compile_cache, corpus_options, options, process
from dfjax.errors import UserError

if TYPE_CHECKING:
    from dfjax.evaluators.eval_target import EvalTarget
    from dfjax.robustness.source import Source

_TYPES = ("deeperforensics", "real_world")
_LEVELS = (1, 2, 3, 4, 5)


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "robustness",
        help="measure what noise, codecs and other distortions leave of a model's AUC",
        description="Score a run or an export on clips that were made worse, by the distortions of "
        "DeeperForensics and by what pictures meet in the world, at five levels each. With "
        "--corpus full frames are distorted before faces are found in them; without, stored crops. "
        "Writes robustness.json, robustness.csv and robustness.png, and the scores of each level.",
        run=_run,
    )
    options.add_model(parser)
    parser.add_argument(
        "--data", metavar="DIR:SPLIT", required=True, help="a split of a prepared dataset"
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="for the results")
    parser.add_argument(
        "--types",
        nargs="+",
        metavar="TYPE",
        default=_TYPES,
        help=f"distortions, or groups of them ({' '.join(_TYPES)}); a wrong one lists all",
    )
    parser.add_argument(
        "--levels",
        nargs="+",
        type=options.positive,
        metavar="N",
        default=_LEVELS,
        help="of 1 to 5 (all)",
    )
    parser.add_argument(
        "--noise-seed", type=int, metavar="N", default=0, help="of what is random (%(default)s)"
    )
    parser.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        help=f"processes that read full frames ({options.num_workers()})",
    )
    parser.add_argument(
        "--allow-other-crops",
        action="store_true",
        help="score data whose faces are cut out otherwise than those that the model learned from",
    )
    group = parser.add_argument_group("corpus, as it was given to dfjax prepare, for full frames")
    corpus_options.add_to(group, required=False)


def _run(arguments: argparse.Namespace) -> int:
    allocator.keep_freed_memory()
    from dfjax import files
    from dfjax.distortions import suite
    from dfjax.evaluators.eval_target import EvalTarget
    from dfjax.inference import scorer
    from dfjax.robustness import measure

    compile_cache.use()
    distortions = suite.choose(arguments.types)
    levels = suite.require_levels(arguments.levels)
    files.require_writable(arguments.out)
    target = EvalTarget.open(arguments.data)
    target.require_both_classes("--data")
    source = _source(arguments, target)
    with process.printed_notes("dfjax.inference"):
        model = scorer.load(arguments.model, arguments.runtime, expect=arguments.expect)
    if not arguments.allow_other_crops:
        model.card.crop_spec.require_equal(target.dataset.crop_spec, where=target.name)
    measure.measure(
        model,
        target,
        source,
        arguments.out,
        distortions=distortions,
        levels=levels,
        seed=arguments.noise_seed,
    )
    return 0


def _source(arguments: argparse.Namespace, target: "EvalTarget") -> "Source":
    """Full frames where a corpus is named, stored crops otherwise.

    Raises:
      UserError: the corpus does not fit its options or the target, or options have no corpus.
    """
    from dfjax.robustness.full_frames import FullFrames
    from dfjax.robustness.stored_crops import StoredCrops

    if arguments.corpus is None:
        corpus_options.require_none(arguments)
        if arguments.jobs is not None:
            raise UserError("--jobs is for full frames: add --corpus NAME, or leave it out")
        return StoredCrops(target)
    reader = corpus_options.reader_options(arguments, str(target.dataset.path))
    with process.printed_notes("dfjax.corpora"):
        clips = registry.build("corpus", arguments.corpus, **reader)
    return FullFrames(target, clips, arguments.jobs or options.num_workers())
