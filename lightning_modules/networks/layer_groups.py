"""Divides a network into groups of layers, from input to head."""

from collections.abc import Iterable

from torch import nn
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2

# Networks whose stages are attributes of their own. The rest of the parameters joins the head.
_NAMED_STAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "ResNet": {
        "stem": ("conv1", "bn1"),
        "layer1": ("layer1",),
        "layer2": ("layer2",),
        "layer3": ("layer3",),
        "layer4": ("layer4",),
    },
    "RegNet": {
        "stem": ("stem",),
        "block1": ("trunk_output.block1",),
        "block2": ("trunk_output.block2",),
        "block3": ("trunk_output.block3",),
        "block4": ("trunk_output.block4",),
    },
    "ShuffleNetV2": {
        "stem": ("conv1",),
        "stage2": ("stage2",),
        "stage3": ("stage3",),
        "stage4": ("stage4", "conv5"),
    },
    "GoogLeNet": {
        "stem": ("conv1", "conv2", "conv3"),
        "inception3": ("inception3a", "inception3b"),
        "inception4": ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
        "inception5": ("inception5a", "inception5b"),
    },
    "Inception3": {
        "stem": ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
        "mixed5": ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
        "mixed6": ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
        "mixed7": ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
    },
    "MaxVit": {
        "stem": ("stem",),
        "block1": ("blocks.0",),
        "block2": ("blocks.1",),
        "block3": ("blocks.2",),
        "block4": ("blocks.3",),
    },
}


def layer_groups(network: nn.Module, heads: tuple[str, ...]) -> dict[str, list[str]]:
    """Name the groups of layers that can be frozen, or trained at a rate of their own.

    Args:
        network: A classification network of torchvision or timm.
        heads: Dotted names of its last layers.

    Returns:
        The names of the parameters of each group, ordered from input to head; each parameter is in exactly one group.
        The last group is called ``head``. ResNets have stem, layer1 ... layer4; vision transformers stem and four
        quarters of their blocks; networks in one sequence (VGG, MobileNet, EfficientNet, ConvNeXt, DenseNet,
        SqueezeNet, Swin, ...) a group for each resolution: stage1, stage2, ...; timm's networks the groups that timm
        knows, or where it knows none, one for each of their parts in the order in which they were built.
    """
    family = type(network).__name__
    if family in _NAMED_STAGES and _has_all(network, _NAMED_STAGES[family]):
        stages = _NAMED_STAGES[family]
    elif family == "VisionTransformer" and hasattr(network, "conv_proj"):
        stages = _transformer_stages(network)
    elif hasattr(network, "group_matcher"):
        stages = _timm_stages(network) or _parts(network, heads)
    elif family == "MNASNet" or hasattr(network, "features"):
        trunk = "layers" if family == "MNASNet" else "features"
        stages = _sequential_stages(trunk, network.get_submodule(trunk), heads[0])
    else:
        stages = _parts(network, heads)
    return _assign([name for name, _ in network.named_parameters()], stages, heads)


def _has_all(network: nn.Module, stages: dict[str, tuple[str, ...]]) -> bool:
    """Distinguish a network from another library's of the same name."""
    modules = {name for name, _ in network.named_modules()}
    return modules >= {part for parts in stages.values() for part in parts}


def _sequential_stages(trunk: str, sequence: nn.Module, head: str) -> dict[str, tuple[str, ...]]:
    """Begin a stage wherever the resolution halves."""
    stages: list[list[str]] = [[]]
    for name, child in sequence.named_children():
        prefix = f"{trunk}.{name}"
        if prefix == head.rpartition(".")[0] or prefix == head:
            break  # MNASNet keeps no head in its trunk, but be safe with others
        if stages[-1] and _halves_resolution(child):
            stages.append([])
        stages[-1].append(prefix)
    with_parameters = [
        stage
        for stage in stages
        if any(True for prefix in stage for _ in sequence.get_submodule(prefix.partition(".")[2]).parameters())
    ]
    return {f"stage{number}": tuple(stage) for number, stage in enumerate(with_parameters, start=1)}


def _halves_resolution(layer: nn.Module) -> bool:
    for module in layer.modules():
        if isinstance(module, PatchMerging | PatchMergingV2):
            return True
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            stride = module.stride if isinstance(module.stride, int) else module.stride[0]
            if stride > 1:
                return True
    return False


def _transformer_stages(network: nn.Module) -> dict[str, tuple[str, ...]]:
    blocks = [f"encoder.layers.{name}" for name, _ in network.get_submodule("encoder.layers").named_children()]
    bounds = [round(len(blocks) * quarter / 4) for quarter in range(5)]
    quarters = {f"blocks{k + 1}": tuple(blocks[bounds[k] : bounds[k + 1]]) for k in range(4)}
    return {"stem": ("conv_proj", "class_token", "encoder.pos_embedding"), **quarters}


def _timm_stages(network: nn.Module) -> dict[str, tuple[str, ...]]:
    from timm.models import group_parameters

    try:
        matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    except AssertionError:  # RDNet knows its layers one by one only
        return {}
    matched = group_parameters(network, matcher, reverse=False)
    return {f"stage{number}": tuple(matched[key]) for number, key in enumerate(sorted(matched), start=1)}


def _parts(network: nn.Module, heads: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Take each part but the heads for a stage, and the elements of its lists; loose parameters belong to the first."""
    parts: list[str] = []
    for name, part in network.named_children():
        if name in {head.partition(".")[0] for head in heads}:
            continue
        listed = [f"{name}.{key}" for key, _ in part.named_children()]
        parts += listed if isinstance(part, nn.Sequential | nn.ModuleList) else [name]
    filled = [part for part in parts if next(network.get_submodule(part).parameters(), None) is not None]
    loose = [name for name, _ in network.named_parameters(recurse=False)]
    return {f"stage{number}": (part, *loose * (number == 1)) for number, part in enumerate(filled, start=1)}


def _assign(
    parameters: Iterable[str], stages: dict[str, tuple[str, ...]], heads: tuple[str, ...]
) -> dict[str, list[str]]:
    """Give each parameter to the stage whose prefix it carries, and what belongs to none to the head."""
    groups: dict[str, list[str]] = {name: [] for name in [*stages, "head"]}
    for parameter in parameters:
        owners = [
            stage
            for stage, prefixes in stages.items()
            if any(parameter == prefix or parameter.startswith(f"{prefix}.") for prefix in prefixes)
        ]
        in_head = parameter.startswith(tuple(f"{head}." for head in heads)) or not owners
        groups["head" if in_head else owners[0]].append(parameter)
    return {name: members for name, members in groups.items() if members}
