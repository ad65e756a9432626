"""The registry: published facts, settings that are refused, weights of others that fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustness import architectures
from robustness.architectures import registry
from robustness.errors import UserError

NAMES = architectures.names()

# Trainable parameters as published: name, options, count, allowed relative difference (1 % where papers
# round). Kept apart from the registry, so that a slip there shows here.
PUBLISHED = [
    ("lenet5", {}, 60_000, 0),
    ("alexnet", {}, 60_965_224, 0),
    ("zfnet", {}, 62_357_608, 0),
    ("googlenet", {}, 6_998_552, 0),
    ("googlenet", {"auxiliary": True}, 13_378_280, 0),
    ("vgg11", {}, 132_863_336, 0),
    ("vgg11_lrn", {}, 132_863_336, 0),
    ("vgg13", {}, 133_047_848, 0),
    ("vgg16_c", {}, 133_638_952, 0),
    ("vgg16", {}, 138_357_544, 0),
    ("vgg19", {}, 143_667_240, 0),
    ("resnet18", {}, 11_689_512, 0),
    ("resnet34", {}, 21_797_672, 0),
    ("resnet50", {}, 25_557_032, 0),
    ("resnet101", {}, 44_549_160, 0),
    ("resnet152", {}, 60_192_808, 0),
    # ResNets less the 1x1 projections of their skips, which have 64*128 + 128*256 + 256*512 weights and
    # 2 * (128 + 256 + 512) gains and biases.
    ("plain18", {}, 11_689_512 - 173_824, 0),
    ("plain34", {}, 21_797_672 - 173_824, 0),
    ("resnext50_32x4d", {}, 25_028_904, 0),
    ("seresnet18", {}, 11_779_624, 0),
    ("seresnet50", {}, 28_088_024, 0),
    ("resnet50", {"se": True}, 28_088_024, 0),
    ("mobilenet_v1", {}, 4_231_976, 0),
    ("mobilenet_v1", {"se": True}, 4_700_000, 0.01),
    ("shufflenet_v1", {"groups": 1}, 1_531_936, 0),
    ("shufflenet_v1", {"groups": 2}, 1_733_848, 0),
    ("shufflenet_v1", {"groups": 3}, 1_865_728, 0),
    ("shufflenet_v1", {"groups": 4}, 1_968_344, 0),
    ("shufflenet_v1", {"groups": 8}, 2_434_768, 0),
    ("nasnet_a_mobile", {}, 5_289_978, 0),
    ("nasnet_a_large", {}, 88_753_150, 0),
    ("amoebanet_a_mobile", {}, 5_100_000, 0.01),
    ("amoebanet_a", {}, 86_700_000, 0.01),
    ("amoebanet_a", {"width": 448 / 190}, 469_000_000, 0.01),
    ("efficientnet_b0", {}, 5_288_548, 0),
    ("efficientnet_b1", {}, 7_794_184, 0),
    ("efficientnet_b2", {}, 9_109_994, 0),
    ("efficientnet_b3", {}, 12_233_232, 0),
    ("efficientnet_b4", {}, 19_341_616, 0),
    ("efficientnet_b5", {}, 30_389_784, 0),
    ("efficientnet_b6", {}, 43_040_704, 0),
    ("efficientnet_b7", {}, 66_347_960, 0),
]


def meta_build(name: str, **options: object) -> torch.nn.Module:
    """The published network without memory behind its weights."""
    entry = architectures.get(name)
    settings = {
        "num_classes": entry.classes,
        "in_channels": entry.channels,
        "image_size": entry.input_size,
        **options,
    }
    with torch.device("meta"):
        return architectures.build(name, **settings)


@pytest.mark.parametrize(
    ("name", "options", "count", "tolerance"), PUBLISHED, ids=lambda value: str(value).replace(" ", "")
)
def test_parameter_count_is_the_published_one(name: str, options: dict, count: int, tolerance: float) -> None:
    network = meta_build(name, **options)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert abs(trainable - count) <= tolerance * count


def test_every_entry_with_a_count_is_in_the_table() -> None:
    counted = {name for name in NAMES if architectures.get(name).parameters is not None}
    assert counted == {row[0] for row in PUBLISHED}
    default = {row[0]: row[2] for row in reversed(PUBLISHED) if not row[1]}
    default["shufflenet_v1"] = 1_865_728
    assert {name: architectures.get(name).parameters for name in counted} == default


def test_layers_of_lenet5_have_the_published_counts() -> None:
    network = meta_build("lenet5")
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert [counts[name] for name in ("c1", "s2", "c3", "s4", "c5", "f6")] == [
        156,
        12,
        1516,
        32,
        48120,
        10164,
    ]
    assert sum(counts.values()) == 60_000


def test_fourteen_families_from_1979_to_2020_in_order() -> None:
    assert NAMES[0] == "linear", "the base line, and no network of the fourteen"
    families = list(dict.fromkeys(architectures.get(name).family for name in NAMES[1:]))
    assert len(families) == 14
    years = [architectures.get(name).year for name in NAMES[1:]]
    assert years == sorted(years)
    assert (years[0], years[-1]) == (1979, 2019)


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete(name: str) -> None:
    entry = architectures.get(name)
    assert entry.name == name
    assert str(entry.year)[:2] in ("19", "20")
    assert len(entry.paper) > 40
    assert tuple(entry.stages) == ("stem", "early", "middle", "late", "penultimate")
    assert entry.stages["stem"] == entry.stem.modules[-1]
    assert entry.smallest <= entry.input_size


def test_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'resnet19' is unknown; did you mean .*resnet18"):
        architectures.get("resnet19")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        registry.register("alexnet")(torch.nn.Identity)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 62}, "alexnet: image_size is 62; allowed is a whole number from 63 up"),
        ({"image_size": 64.0}, "image_size is 64.0; allowed is a whole number"),
        ({"num_classes": 1}, "num_classes is 1; allowed is a whole number from 2 up"),
        ({"in_channels": 0}, "in_channels is 0; allowed is a whole number from 1 up"),
        ({"width": 0}, "width is 0; allowed is a number from 0.0625 to 8"),
        ({"width": 9}, "width is 9; allowed is a number"),
        ({"width": "half"}, "width is 'half'; allowed is a number"),
        ({"width": float("nan")}, "width is nan; allowed is a number"),
        ({"dropout": 1.5}, "option dropout is 1.5; allowed is a number from 0 to 0.95"),
        ({"dropout": True}, "option dropout is True; allowed is a number"),
        ({"batch_norm": 1}, "option batch_norm is 1; allowed is one of True, False"),
        ({"initialisation": "hee"}, "option initialisation is 'hee'; allowed is one of gaussian, glorot, he"),
        ({"dropuot": 0.1}, "there is no option 'dropuot'; did you mean dropout?"),
    ],
)
def test_wrong_setting_is_one_line_that_says_what_is_allowed(settings: dict, words: str) -> None:
    with pytest.raises(UserError) as caught:
        architectures.build("alexnet", **{"num_classes": 10, "image_size": 64, **settings})
    assert words in str(caught.value)
    assert str(caught.value).startswith("alexnet: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("neocognitron", {"image_size": 40}, "image_size is 40; allowed is a multiple of 16"),
        ("googlenet", {"auxiliary": True}, "auxiliary is True at image_size 64.*image_size of 65 or more"),
        ("lenet5", {"codes": "bitmaps", "num_classes": 3}, "bitmaps exist for 10 classes, use 'random'"),
        ("shufflenet_v1", {"groups": 5}, "option groups is 5; allowed is one of 1, 2, 3, 4, 8"),
        ("nasnet_a_mobile", {"cells": 2.0}, "option cells is 2.0; allowed is a whole number from 1 to 18"),
        ("nasnet_a_large", {"cells": 4}, "there is no option 'cells'"),
        ("vgg16", {"se": True}, "there is no option 'se'"),
    ],
)
def test_wrong_setting_of_a_family(name: str, settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        architectures.build(name, **{"num_classes": 10, "image_size": 64, **settings})


@pytest.mark.parametrize("name", [name for name in NAMES if architectures.get(name).pretrained])
def test_weights_of_others_fit(name: str) -> None:
    library, _, key = architectures.get(name).pretrained.partition("/")
    with torch.device("meta"):
        if library == "timm":
            import timm

            other = timm.create_model(key)
        else:
            import torchvision

            other = torchvision.models.get_model(key)
    ours = {name: value.shape for name, value in meta_build(name).state_dict().items()}
    assert ours == {name: value.shape for name, value in other.state_dict().items()}


def test_bn_momentum_reaches_every_batch_norm() -> None:
    network = architectures.build("resnet18", num_classes=10, image_size=32, width=0.25, bn_momentum=0.3)
    momenta = {part.momentum for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)}
    assert momenta == {0.3}


def test_efficientnets_follow_the_compound_rule() -> None:
    from robustness.architectures.efficientnet import VARIANTS

    # B0 to B7 stand for these phi; the released multipliers and sizes are rounded, the sizes upwards.
    for phi, (width, depth, size, *_) in zip((0, 0.5, 1, 2, 3, 4, 5, 6), VARIANTS.values(), strict=True):
        assert depth == pytest.approx(1.2**phi, rel=0.07)
        assert width == pytest.approx(1.1**phi, rel=0.14)
        assert size == pytest.approx(224 * 1.15**phi, rel=0.18)


def test_a_family_is_every_file_that_lies_in_the_folder() -> None:
    folder = Path(architectures.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "registry"}
    assert set(architectures.FAMILIES) == files
    assert {architectures.get(name).module for name in NAMES} == files
