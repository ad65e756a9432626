"""Fine-tuning: the chosen stages learn, the rest stays bit for bit; what cannot be fine-tuned is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_run import PARAMS, run_stage, write_params

from pipeline import files, inputs
from robustness import architectures, models, progress, training
from robustness.errors import UserError
from robustness.weights import fine_tuning, networks

EPOCHS, SIZE = 3, 64
FINE_TUNE = {"stages": ["stem", "head"], "epochs": EPOCHS, "learning_rate": 0.003, "new_head": True}


def folder_of_two_colours(root: Path) -> Path:
    """Reddish and bluish images, noisy, in the three splits."""
    generator = np.random.default_rng(0)
    for split, each in (("train", 4), ("validation", 1), ("test", 3)):
        for name, colour in (("blue", (60, 60, 160)), ("red", (160, 60, 60))):
            for number in range(each):
                place = root / split / name / f"{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                noise = generator.integers(-40, 40, (32, 32, 3))
                Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(place)
    return root


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over a folder of images, with weights for 1000 classes in a file; the current folder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = architectures.build("resnet18", num_classes=1000, image_size=SIZE)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, str(tmp_path / "net.safetensors"))
    folder_of_two_colours(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    # Weights of a file are used at the published size; a smaller one is enough here and quick.
    small = networks.Traits(SIZE, networks.IMAGENET_MEAN, networks.IMAGENET_STD)
    monkeypatch.setattr(networks, "traits", lambda *_: small)
    return tmp_path


def settings(folder: Path, **model: object) -> dict:
    data = {"set": "image_folder", "path": str(folder / "folder"), "image_size": 32, "workers": 1}
    origin = {"weights": f"file:{folder / 'net.safetensors'}", "architecture": "resnet18"}
    return PARAMS | {
        "data": data,
        "training": PARAMS["training"] | {"batch_size": 4, "translate_pixels": 0},
        "models": {"tuned": origin | {"fine_tune": FINE_TUNE} | model},
    }


def fine_tuned(folder: Path, **model: object) -> models.Classifier:
    """Run the stages up to the model, as the pipeline does, and read its checkpoint."""
    write_params(folder, settings(folder, **model))
    if not files.IMAGES.exists():
        run_stage("render")
    run_stage("train", "tuned")
    return inputs.load_model("tuned")


def test_only_the_chosen_stages_learn(run: Path) -> None:
    from safetensors.torch import load_file

    before = load_file(str(run / "net.safetensors"))
    model = fine_tuned(run)
    after = {name.removeprefix("network."): value for name, value in model.state_dict().items()}
    assert after["fc.weight"].shape == (2, 512)
    for name, value in before.items():
        if name.startswith("fc."):
            continue
        # The stem of ResNet: the first convolution and its batch normalisation, statistics included.
        learns = name.split(".")[0] in ("conv1", "bn1")
        assert torch.equal(after[name], value) != learns, name
    history = pd.read_parquet(files.MODELS / "tuned" / "history.parquet")
    assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    run_stage("evaluate", "tuned")
    table = pd.read_parquet(files.RESULTS / "tuned" / "predictions.parquet")
    assert len(table[table["shift"] == "clean"]) == 6
    assert not list((files.WORK / "tuned").glob("*.pt"))


def test_a_front_end_in_front_of_trained_weights(run: Path) -> None:
    model = fine_tuned(run, frontend="vone", fine_tune=FINE_TUNE | {"stages": ["stem", "early", "head"]})
    assert model.spec.frontend == "vone"
    assert model.spec.frontend_options == PARAMS["frontend"]
    assert type(model.network.conv1.block).__name__ == "V1Block"
    x = torch.rand(2, 3, 32, 32)
    assert model(x).shape == (2, 2)


def test_it_resumes_and_ends_with_the_same_weights(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fine_tuned(run)

    def interrupt(name: str):
        def show(epoch: int, epochs: int, loss: float, accuracy: float) -> None:
            raise KeyboardInterrupt

        return show

    with monkeypatch.context() as patch:
        patch.setattr(progress, "epochs", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_stage("train", "tuned")
    (state,) = (files.WORK / "tuned").glob("*.pt")
    assert len(torch.load(state, weights_only=True)["history"]) == 1
    validated = []
    judge = training.validate
    monkeypatch.setattr(training, "validate", lambda *a, **k: validated.append(1) or judge(*a, **k))
    again = fine_tuned(run)
    assert len(validated) == EPOCHS - 1  # one epoch was not done twice
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_without_training_images_it_is_refused(run: Path) -> None:
    (run / "folder" / "train").rename(run / "elsewhere")
    write_params(run, settings(run))
    run_stage("render")
    with pytest.raises(UserError, match=r"no training images to fine-tune models\.tuned"):
        run_stage("train", "tuned")
    assert not (files.MODELS / "tuned").exists()


def test_other_classes_need_a_new_head(run: Path) -> None:
    with pytest.raises(UserError, match="do not fit"):
        fine_tuned(run, fine_tune=FINE_TUNE | {"new_head": False})


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "vgg16", "googlenet", "resnet18", "efficientnet_b0"])
def test_every_weight_belongs_to_one_part(name: str) -> None:
    entry = architectures.get(name)
    spec = models.ModelSpec(name, "learned", "canonical", 5, max(64, entry.smallest), seed=0, width=0.25)
    model = models.build(spec)
    parts = fine_tuning.modules(model)
    own = {path: part for part, paths in parts.items() for path in paths}
    assert sum(map(len, parts.values())) == len(own)
    for key, _ in model.named_parameters():
        assert key.rpartition(".")[0] in own, key
    for part in ("stem", "early", "middle", "late", "head"):
        members = [model.get_submodule(path) for path in parts[part]]
        # The read-out of LeNet-5 holds fixed codes: buffers.
        assert any([*m.parameters(recurse=False), *m.buffers(recurse=False)] for m in members), part


def test_frozen_parts_stay_in_evaluation_mode() -> None:
    spec = models.ModelSpec("resnet18", "learned", "canonical", 5, 64, seed=0, width=0.25)
    model = models.build(spec)
    with pytest.raises(UserError, match="is none of stem"):
        fine_tuning.freeze(model, ["first"])
    fine_tuning.freeze(model, ["stem"])
    trainable = [name for name, value in model.named_parameters() if value.requires_grad]
    assert trainable
    assert all(name.startswith(("network.conv1.", "network.bn1.")) for name in trainable)
