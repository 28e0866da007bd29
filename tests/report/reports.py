"""Contents of report.json and robustness.json, made from random scores by scikit-learn."""

import json

import numpy as np
from sklearn import metrics as sk

EVIL = (
    "<script>alert(1)</script> | `rm` **b** [x](http://e.vil) \\input{x} $a_1$ & % # -- "
    "\u202egnp.exe\x1b"
)


def write(folder, datasets=None, robustness=None):
    """Writes report.json and, if given, robustness.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(make_report(datasets)))
    if robustness:
        (folder / "robustness.json").write_text(json.dumps(robustness))
    return folder


def make_report(datasets=None):
    datasets = [make_dataset()] if datasets is None else datasets
    return {
        "format": 1,
        "versions": {"dfjax": "0.1.0", "jax": "0.11.1", "numpy": "2.4.0", "python": "3.11.2"},
        "hardware": "2 CPU devices (Some Processor)",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "model": {
            "model_name": "efficientnet_b0",
            "model_arguments": {"dtype": "float32", "dropout": 0.2},
            "image_size": 224,
            "weights": "a" * 64,
            "step": 12_000,
            "temperature": 1.234567,
            "synthetic": True,
            "crop_spec": {"detector": "hog", "landmarks": 81, "size": 256, "margin": 1.3},
        },
        "config": {"seed": 0, "optimizer": {"name": "adamw", "lr": 1e-3}, "augment": {"flip": 0.5}},
        "datasets": datasets,
    }


def make_dataset(name="data/synthetic:test", **changes):
    rng = np.random.default_rng(0)
    dataset = {
        "name": name,
        "synthetic": True,
        "notes": ["synthetic", "shares 3 identities, 12 videos with training"],
        "protocol": {
            "checkpoint_step": 12_000,
            "selected_by": "val/video_auc",
            "decisions": "fitted on data/synthetic:val, then frozen",
            "threshold_rule": "highest balanced accuracy on the validation split, then frozen",
            "trained_on": "data/synthetic:train",
            "seed": 0,
            "temperature": 1.234567,
        },
        "coverage": {
            "clips": 320,
            "without_face": 12,
            "methods": {
                "real": {"clips": 160, "without_face": 2},
                "faceswap": {"clips": 80, "without_face": 10},
                "reenact": {"clips": 80, "without_face": 0},
            },
        },
        "levels": {"frame": make_level(rng, 1500, 0.9), "video": make_level(rng, 150, 1.6)},
        "groups": {
            "columns": [_groups(rng), {"column": "gender", "about": None, "note": "no labels"}]
        },
        "calibration": _calibration(),
        "false_alarms": _false_alarms(),
        "trivial_cues": {
            "crops": 400,
            "of": 3_000,
            "auc": {
                "file_size": {"frame": 0.53, "video": None},
                "model": {"frame": 0.83, "video": 0.95},
            },
        },
        "worst": [_error(rng, row) for row in range(6)],
        "data_card": _data_card(),
        "overlap": dict(clip=0, identity=3, video=12, pair=0, origin=0, identical=1),
    }
    dataset["levels"]["video"] |= {
        "rule": "mean probability",
        "rules": {
            rule: {"auc": _estimate(0.93), "ap": _estimate(0.92), "eer": _estimate(0.11)}
            for rule in ("mean probability", "mean logit", "confidence-weighted mean", "top-3 mean")
        },
        "missing_faces": {
            policy: {"auc": _estimate(0.93 - i / 20), "ap": _estimate(0.92 - i / 20)}
            for i, policy in enumerate(("dropped", "half"))
        },
    }
    return {**dataset, **changes}


def make_level(rng, num_clips, distance):
    label = np.repeat([0, 1], num_clips)
    score = 1 / (1 + np.exp(-rng.normal(distance * (2 * label - 1), 1.3)))
    threshold = 0.4321
    found = _metrics(label, score, threshold)
    return {
        "real": num_clips,
        "fake": num_clips,
        "threshold": threshold,
        "threshold_from": "model card",
        "metrics": found,
        "at_half": {name: found[name] for name in ("accuracy", "balanced_accuracy", "f1")},
        "confusion": sk.confusion_matrix(label, score >= threshold).tolist(),
        "methods": {
            name: {"fake": num_clips // 2, "metrics": found, "at_half": {}}
            for name in ("faceswap", "reenact")
        },
        "interval": {"level": 0.95, "resampled": "clips", "draws": 2_000},
        "curves": _curves(label, score),
        "reliability": {"raw": _bins(label, score), "calibrated": _bins(label, score**1.2)},
        "histogram": _histogram(label, score),
    }


def one_class():
    """A dataset without fakes: counts, and no metrics."""
    level = {"real": 20, "fake": 0, "note": "there are no fakes: nothing can be compared"}
    return make_dataset(
        "data/reals:test",
        notes=[],
        levels={"frame": level, "video": level},
        groups=None,
        calibration={"temperature": None, "isotonic": None, "frame": None, "video": None},
        false_alarms=None,
        trivial_cues=None,
        worst=[],
        data_card=None,
        overlap=None,
        protocol={},
        coverage={"clips": 20, "without_face": 0, "methods": {}},
    )


def without_anything():
    """A dataset with metrics that do not exist, as of one clip of each class."""
    dataset = make_dataset("data/two:test", groups={}, worst=None)
    for level in dataset["levels"].values():
        level["metrics"] = dict.fromkeys(level["metrics"])
        level["at_half"] = level["curves"] = level["reliability"] = level["histogram"] = None
        level["methods"] = {}
    dataset["levels"]["video"] |= {"rules": {}, "missing_faces": None}
    return dataset


def hostile():
    """A dataset with hostile text wherever text from outside can stand."""
    dataset = make_dataset(EVIL, notes=[EVIL])
    dataset["protocol"] = dict.fromkeys(dataset["protocol"], EVIL) | {"temperature": 1.0}
    dataset["coverage"]["methods"][EVIL] = {"clips": 1, "without_face": 0}
    level = dataset["levels"]["video"]
    level["methods"][EVIL] = level["methods"]["reenact"]
    level["rules"][EVIL] = {"auc": None}
    groups = {**_groups(np.random.default_rng(0), EVIL), "column": EVIL, "about": EVIL}
    dataset["groups"] = {"columns": [groups, {"column": EVIL, "about": None, "note": EVIL}]}
    dataset["worst"] = [{**each, "clip": EVIL} for each in dataset["worst"]]
    dataset["data_card"]["corpus"] = EVIL
    return dataset


def make_robustness():
    def auc(level, kind):
        return _estimate(0.95 - 0.02 * level * (1 + kind % 4))

    names = ("saturation", "contrast", "blocks", "noise", "blur", "pixelation", "H.264", "JPEG")
    return {
        "kind": "crops",
        "data": "data/synthetic:test",
        "synthetic": True,
        "model": {"weights": "a" * 64},
        "notes": ["synthetic", "blocks leaves crops of 224 px as they are"],
        "clean": {"auc": _estimate(0.96), "without_face": 3},
        "types": [
            {
                "name": name,
                "levels": [
                    {"level": n, "parameter": 10 * n, "auc": auc(n, kind)} for n in range(1, 6)
                ],
                "mean": 0.83,
                "worst": 0.77,
            }
            for kind, name in enumerate(names)
        ],
        "mean": 0.84,
        "worst": 0.55,
    }


def _estimate(value, spread=0.012):
    return {"value": value, "low": max(value - spread, 0), "high": min(value + spread, 1)}


def _metrics(label, score, threshold):
    called = score >= threshold
    fpr, tpr, _ = sk.roc_curve(label, score)
    values = {
        "auc": sk.roc_auc_score(label, score),
        "ap": sk.average_precision_score(label, score),
        "eer": fpr[np.argmin(abs(1 - tpr - fpr))],
        **{f"tpr_at_fpr_{rate}": tpr[fpr <= rate].max() for rate in (0.001, 0.01, 0.05)},
        "log_loss": sk.log_loss(label, score),
        "log_loss_calibrated": sk.log_loss(label, score) / 1.1,
        "brier": sk.brier_score_loss(label, score),
        "brier_calibrated": sk.brier_score_loss(label, score) / 1.1,
        "ece": 0.061,
        "ece_calibrated": 0.018,
        "accuracy": sk.accuracy_score(label, called),
        "balanced_accuracy": sk.balanced_accuracy_score(label, called),
        "precision": sk.precision_score(label, called),
        "recall": sk.recall_score(label, called),
        "f1": sk.f1_score(label, called),
        "precision_at_prevalence_0.01": 0.051,
        "precision_at_prevalence_0.1": 0.37,
    }
    return {name: _estimate(float(value)) for name, value in values.items()}


def _curves(label, score):
    grid = np.linspace(0, 1, 101)
    fpr, tpr, _ = sk.roc_curve(label, score)
    precision, recall, _ = sk.precision_recall_curve(label, score)
    ys = {"roc": np.interp(grid, fpr, tpr), "pr": np.interp(grid, recall[::-1], precision[::-1])}
    return {
        name: {
            "x": grid.tolist(),
            "y": y.tolist(),
            "low": (y - 0.04).clip(0).tolist(),
            "high": (y + 0.04).clip(max=1).tolist(),
        }
        for name, y in ys.items()
    }


def _bins(label, score):
    place = np.minimum((15 * score).astype(int), 14)
    bins = [place == number for number in range(15)]
    return [
        {"n": int(own.sum()), "score": float(score[own].mean()), "share": float(label[own].mean())}
        if own.any()
        else {"n": 0, "score": None, "share": None}
        for own in bins
    ]


def _histogram(label, score):
    edges = np.linspace(0, 1, 41)
    counts = {n: np.histogram(score[label == c], edges)[0] for n, c in (("real", 0), ("fake", 1))}
    return {"edges": edges.tolist(), **{name: each.tolist() for name, each in counts.items()}}


def _groups(rng, name="dark"):
    rows = [
        {
            "group": group,
            "real": size,
            "fake": size,
            "small": size < 30,
            **{rate: _estimate(float(rng.uniform(0, 0.3))) for rate in ("fpr", "fnr")},
            "accuracy": _estimate(0.9),
            "auc": _estimate(0.95) if size > 1 else None,
        }
        for group, size in ((name, 80), ("normal", 60), ("bright", 1))
    ]
    gap = {**_estimate(0.08), "chance": 0.1}
    return {
        "column": "brightness",
        "about": "mean luma of the crop, 0 to 255",
        "groups": rows,
        "unlabelled": {"real": 0, "fake": 9},
        "compared": [name, "normal"],
        "figures": {figure: gap for figure in ("f_fpr", "f_oae", "f_dp", "f_meo", "f_eo")},
    }


def _calibration():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 200)
    errors = {"log_loss": 0.4, "brier": 0.1, "ece": 0.03}
    level = {
        kind: {**errors, "reliability": _bins(label, rng.random(200))}
        for kind in ("raw", "temperature", "isotonic")
    }
    return {"temperature": 1.2, "isotonic": None, "frame": level, "video": None}


def _false_alarms():
    rates = {"false_alarm": 0.05, "one_limit": 0.1, "coverage": 0.8, "detected": 0.7}
    faces = {name: _estimate(value) for name, value in rates.items()}
    rows = [{"faces": 1, **faces}, {"faces": 3, **faces, "detected": None}]
    return {"model": "simulated files", "kind": "video", "clips": {}, "faces": rows}


def _error(rng, row):
    return {
        "clip": f"synthetic/faceswap/a_rather_long_name_of_a_clip_{row:03}.mp4",
        "frame": int(rng.integers(200)),
        "face": row % 2,
        "label": row % 2,
        "score": float(0.99 - row / 10 if row % 2 == 0 else row / 100),
        "picture": None,
    }


def _data_card():
    return {
        "corpus": "synthetic",
        "clips": "640 clips, sha256 0123456789abcdef",
        "seed": 0,
        "frames": 32,
        "synthetic": True,
        "strict": None,
        "methods": [
            {"split": split, "class": "real", "method": "real", **counts}
            for split in ("train", "test")
            for counts in [{"clips": 4321, "failed": 1, "no_face": 20, "crops": 98_765}]
        ],
        "warnings": ["test: a face is found in 90% of real frames but in 70% of fake ones"],
        "crop_spec": {"crops": "align", "size": 256, "scale": 1.3, "landmarks": 5},
        "audit": {
            "dataset": "b" * 32,
            "findings": [{"kind": "clip", "count": 0}, {"kind": "identity", "count": 3}],
        },
    }
