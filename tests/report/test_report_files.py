"""The files of a report: written whole, equal for equal inputs, the HTML page self-contained."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from robustness.report.build import write_report
from robustness.report.inputs import ReportInputs


@pytest.fixture(scope="module")
def written(whole_inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_report(whole_inputs, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_there_and_nothing_else(written: Path, whole_inputs: ReportInputs) -> None:
    assert sorted(path.name for path in written.iterdir()) == [
        "cards",
        "figures",
        "index.html",
        "robustness.html",
        "robustness.pdf",
    ]
    cards = {path.name for path in (written / "cards").iterdir()}
    names = whole_inputs.params["models"]
    assert cards == {f"{name}.{kind}" for name in names for kind in ("pdf", "md", "json")}
    assert (written / "figures" / "overview.svg").is_file()
    folders = {path.name for path in (written / "figures").iterdir() if path.is_dir()}
    assert folders == set(whole_inputs.pictures)


def test_again_gives_the_same_bytes_and_replaces_what_was_there(
    written: Path, whole_inputs: ReportInputs, tmp_path: Path
) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "gone.pdf").write_text("of a model that is no longer there")
    (tmp_path / "scores.csv").write_text("another stage's")
    write_report(whole_inputs, tmp_path)
    again = contents(tmp_path)
    assert again.pop("scores.csv") == b"another stage's"
    assert again == contents(written)


def test_figures_are_vector(written: Path) -> None:
    for path in (written / "figures").glob("*.svg"):
        text = path.read_text("utf-8")
        assert text.count("<path") > 5
        if path.stem != "view_sphere":
            assert "<image" not in text


class Page(HTMLParser):
    """Collects what a page asks for from outside, its tables and its embedded scores."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tables: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name in ("src", "href"):
            link = values.get(name)
            if link and not link.startswith(("data:", "#")):
                self.outside.append(link)
        if tag == "table":
            self.tables.append(str(values.get("id")))
        self._in_data = values.get("id") == "scores-data"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def test_page_needs_nothing_from_outside_and_holds_all_scores(
    written: Path, whole_inputs: ReportInputs
) -> None:
    text = (written / "robustness.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    assert page.outside == []
    assert not re.search(r"url\(|@import|https?://", text.split("<body>")[0])
    assert {"table-summary", "table-attack", "table-rho-across", "all-scores"} <= set(page.tables)
    data = json.loads(page.data)
    shown = {
        (model, data["metrics"][row[0]]): row[1]
        for model, rows in zip(data["models"], data["rows"], strict=True)
        for row in rows
    }
    scores = whole_inputs.scores
    assert len(shown) == len(scores)
    for row in scores.itertuples():
        value = shown[row.model, row.metric]
        assert value is None if row.value != row.value else value == pytest.approx(row.value, rel=1e-4)


def test_leaderboard_leads_to_every_card_and_its_claims(written: Path, whole_inputs: ReportInputs) -> None:
    text = (written / "index.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    names = whole_inputs.present
    wanted = {f"cards/{name}.{kind}" for name in names for kind in ("pdf", "json")} | {"robustness.html"}
    assert set(page.outside) == wanted
    assert all((written / link).is_file() for link in wanted)
    assert page.tables == ["leaderboard"]
    assert 'data-filters="leaderboard"' in text


def test_claims_are_the_scores_with_what_they_depend_on(written: Path, whole_inputs: ReportInputs) -> None:
    for name in whole_inputs.present:
        content = json.loads((written / "cards" / f"{name}.json").read_text("utf-8"))
        assert content["model"]["id"] == name
        assert content["attack"]["suites"] == whole_inputs.params.get("attack", {}).get("norms", {})
        assert len({claim["metric"] for claim in content["claims"]}) == len(content["claims"]) > 3
        for claim in content["claims"]:
            score = whole_inputs.score(name, claim["metric"])
            assert (claim["value"], claim["objects"]) == (score.value, score.n)
            assert claim["low"] <= claim["value"] <= claim["high"]


def test_cards_as_text_have_a_header_that_is_yaml(written: Path, whole_inputs: ReportInputs) -> None:
    for name in whole_inputs.present:
        _, header, text = (written / "cards" / f"{name}.md").read_text("utf-8").split("---\n", 2)
        assert yaml.safe_load(header)["model_name"] == name
        assert text.startswith(f"# {name}\n")
        assert "| score | value and 95 % interval | rank |" in text
