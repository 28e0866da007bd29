"""The config of runs that take seconds."""

import ml_collections

from configs import resnet


def make_config(data_dir, **changes) -> ml_collections.ConfigDict:
    """Four steps of a narrow network on 32 px, evaluated at the end; `changes` by dotted name."""
    config = resnet.get_config()
    settings = {
        "data.dir": str(data_dir),
        "data.image_size": 32,
        "model.width": 8,
        "batch_size": 8,
        "num_steps": 4,
        "optimizer.warmup_steps": 1,
        "log_every": 2,
        "evals.val.every": 4,
        "checkpoint_every": 4,
        "eval.batch_size": 8,
    }
    config.update_from_flattened_dict({**settings, **changes})
    return config
