"""What README and the pages of docs/ say is so: links, commands, examples, settings, scores."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.cli import parse_args as parse_dvc
from PIL import Image

from benchmarks import table as speeds
from pipeline import command_line
from pipeline.settings import CLASSES, KEYS
from robustness import weights
from robustness.attacks.checks.context import Scale
from robustness.attacks.settings import NormSettings
from robustness.attacks.variants import VariantSettings
from robustness.data.objects.settings import RenderSettings, Sphere
from robustness.frontends.options import FrontendOptions
from robustness.models import TRAIN, ModelSettings
from robustness.weights.settings import FineTune
from robustness.weights.user_network import Builder

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in
         (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}  # fmt: skip
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
NETWORK = """
from torch import nn

def build(classes=4, width=8):
    maps = [nn.Sequential(nn.Conv2d(3 if i == 0 else width, width, 3, 2, 1), nn.ReLU()) for i in range(4)]
    return nn.Sequential(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
"""


def blocks(language: str, text: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every command in a block, and of those in the text that begin like one."""
    for page, text in PAGES.items():
        for line in "".join(blocks("bash", text)).splitlines():
            yield page, line.partition("  #")[0].strip()
        inline = r"`((?:make|robustness|dvc|pip install|python -m) [^`…]+)`"
        yield from ((page, " ".join(found.split())) for found in re.findall(inline, FENCED.sub("", text)))


COMMANDS = sorted(set(commands()))
CHEAP = [command for _, command in COMMANDS if command.startswith(("robustness list", "robustness --help"))]


def test_the_pages_hold_commands_of_every_kind() -> None:
    assert {command.split()[0] for _, command in COMMANDS} == {"make", "robustness", "dvc", "pip", "python"}
    assert len(PAGES["README.md"].splitlines()) <= 180


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_is_one_that_there_is(page: str, command: str) -> None:
    first, *words = shlex.split(command)
    if first == "make":
        targets = [word for word in words if "=" not in word]
        assert set(targets) <= TARGETS
        planned = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        names = [word.partition("=")[0] for word in words if "=" in word]
        assert all(f"$({name})" in (ROOT / "Makefile").read_text() for name in names), planned.stdout
    elif first == "robustness":
        if words != ["--help"]:
            command_line.parser().parse_args(words)
    elif first == "dvc":
        parse_dvc(words)
    elif first == "pip":
        assert words[:2] == ["install", "-e"]
        assert re.fullmatch(r"\.\[(\w+)\]", words[2])[1] in EXTRAS
    else:
        assert find_spec(words[1].replace("<stage>", "report")) is not None


@pytest.mark.parametrize("command", CHEAP)
def test_a_cheap_command_runs(command: str, capsys: pytest.CaptureFixture) -> None:
    with suppress(SystemExit):  # --help ends so
        command_line.main(shlex.split(command)[1:])
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
    for link in links:
        assert "://" not in link
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_the_library_in_ten_lines_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynet.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for kind in ("cat", "cup", "dog", "hat"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(2):
            Image.effect_noise((40, 40), 40 + number).convert("RGB").save(f"photos/{kind}/{number}.png")
    (block,) = blocks("python", PAGES["README.md"])
    assert "timm:resnet50.tv_in1k" in block  # no download here
    for given, small in (("timm:resnet50.tv_in1k", "python:mynet:build"), ("=224", "=32")):
        block = block.replace(given, small)
    found: dict = {}
    exec(block, found)
    assert set(found["predictions"]["level"]) == {"0", "1", "3", "5"}
    assert found["attacked"]["epsilon"].nunique() == 4  # and 0


def models_of_the_pages() -> Iterator[tuple[str, dict]]:
    for text in PAGES.values():
        for block in blocks("yaml", text):
            yield from yaml.safe_load(block)["models"].items()


@pytest.mark.parametrize(("name", "model"), list(models_of_the_pages()))
def test_a_model_of_an_example_is_allowed(
    name: str, model: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = ModelSettings.read({**model, **({"sha256": "0" * 64} if "sha256" in model else {})})
    if settings.weights != TRAIN:
        weights.check(settings)


def keys_of_settings() -> Iterator[str]:
    yield from KEYS
    classes = [ModelSettings, FineTune, Builder, RenderSettings, Sphere, NormSettings, Scale, VariantSettings]
    for path in CLASSES.values():
        module, _, name = path.partition(":")
        classes.append(getattr(importlib.import_module(module), name))
    for each in classes:
        yield from each.model_fields
    yield from (field.name for field in dataclasses.fields(FrontendOptions))


def test_the_page_of_settings_has_every_key() -> None:
    page = PAGES["docs/settings.md"]
    assert [key for key in sorted(set(keys_of_settings())) if not re.search(rf"\b{key}\b", page)] == []


def statistics() -> set[str]:
    """The statistics of the scores in the repository; of a probe without method, condition or bin."""
    places = (ROOT / "reports" / "scores.csv", ROOT / "docs" / "results" / "evidence" / "scores.csv")
    found = pd.concat(pd.read_csv(place) for place in places)["statistic"].drop_duplicates()
    of_many = r"((?:orientation|frequency)_share|placed_purity|moved|shifted|other_class)(_2d)?(_sd)?/.*"
    return {re.sub(of_many, r"\1", name).rpartition("/")[2].removesuffix("_sd") for name in found}


def test_the_page_of_scores_has_every_statistic() -> None:
    page, names = PAGES["docs/scores.md"], statistics()
    assert len(names) > 80
    known = {
        name for name in names if re.search(rf"[`/]{re.sub('_(pca|2d)$', '', name)}(_pca)?(_sd)?[`/]", page)
    }
    assert sorted(names - known) == []


def test_the_site_is_built_and_no_link_is_broken(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the site: mkdocs is missing; pip install -e '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="the site: mkdocstrings is missing; pip install -e '.[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True)
    assert "open_set" in (tmp_path / "interface.html").read_text()
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:)?//", page.read_text())
        assert not loaded, f"{page.name} is not whole without a network"


def test_the_table_of_speeds_is_that_of_the_results() -> None:
    assert speeds.inserted(PAGES["README.md"]) == PAGES["README.md"]
