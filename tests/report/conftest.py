"""Small reports, laid out once for all tests of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_layout import LaidOut, lay_out
from report_tables import make_inputs

from robustness.report.inputs import ReportInputs


@pytest.fixture(scope="session")
def whole_inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """A run in which nothing is missing: one architecture with all controls and trainings, four plain."""
    return make_inputs(
        ["resnet18", "alexnet", "vgg11", "lenet5", "zfnet"], tmp_path_factory.mktemp("pictures")
    )


@pytest.fixture(scope="session")
def whole_report(whole_inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> LaidOut:
    """Its report."""
    return lay_out(whole_inputs, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def partial_report(tmp_path_factory: pytest.TempPathFactory) -> LaidOut:
    """A report of a run that lacks models, trainings and a table; a check of its attacks failed."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    absent = [f"lenet5_{name}" for name in ("gabor", "random", "learned_noise", "diverse", "adversarial")]
    inputs = make_inputs(
        ["lenet5"], folder, without=absent, failed_check="lenet5_vone", unprobed="lenet5_vone"
    )
    return lay_out(inputs, tmp_path_factory.mktemp("partial"))
