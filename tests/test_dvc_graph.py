"""dvc.yaml has no holes: a stage depends on all modules that it imports and all parameters that it reads."""

from __future__ import annotations

import ast
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from import_graph import MODULES, ROOT, SETTINGS, imports, known, names

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PER_MODEL = [name for name, entry in STAGES.items() if "foreach" in entry]


def entries(folder: str, *shared: str) -> dict[str, str]:
    """File → module of the entries that lie in a folder of ``robustness``."""
    names = sorted(path.stem for path in (ROOT / "robustness" / folder).glob("*.py"))
    return {n: f"robustness.{folder}.{n}" for n in names if n not in ("__init__", "registry", *shared)}


FAMILIES = entries("architectures")
FRONTENDS = entries("frontends", "install", "options")


def entry_of(stage: str) -> dict[str, Any]:
    """What dvc.yaml says of a stage, or of its jobs."""
    return STAGES[stage].get("do", STAGES[stage])


def reads_of(stage: str) -> tuple[str, ...]:
    """The keys of params.yaml that the stage declares in its code."""
    for node in ast.parse(MODULES[f"pipeline.{stage}"].read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "READS":
            return ast.literal_eval(node.value)
    raise AssertionError(f"pipeline/{stage}.py declares no READS")


def used_settings(stage: str) -> set[str]:
    """The keys that a stage's code asks its settings for."""
    page = ast.parse(MODULES[f"pipeline.{stage}"].read_text())
    return {
        node.attr
        for node in ast.walk(page)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "settings"
    } - {"as_written"}


def settings_imports(stage: str) -> frozenset[str]:
    """What ``pipeline.settings`` imports for a stage: the classes of the keys that it asks for."""
    from pipeline.settings import CLASSES

    found = [*names(SETTINGS, late=False)]
    keys = used_settings(stage)
    found += [CLASSES[key].partition(":")[0] for key in keys if key in CLASSES]
    found += ["robustness.models"] * bool(keys & {"model", "models", "families"})
    return known(found)


def closure(stage: str, family: str | None = None, frontend: str = "learned") -> set[str]:
    """All modules that a stage can import; a job those of its own ``family`` and ``frontend`` only.

    Left out: files without code, such as the ``__init__`` of most packages.
    """
    others = (
        {*FAMILIES.values(), *FRONTENDS.values()} - {FAMILIES[family], FRONTENDS[frontend]} if family else ()
    )
    seen: set[str] = set()
    waiting = [f"pipeline.{stage}"]
    while waiting:
        module = waiting.pop()
        if module not in seen and module not in others:
            seen.add(module)
            waiting += settings_imports(stage) if module == SETTINGS else imports(module)
    return {module for module in seen if has_code(module)}


@cache
def has_code(module: str) -> bool:
    body = ast.parse(MODULES[module].read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def deps_of(stage: str, family: str | None = None, frontend: str = "learned") -> list[str]:
    deps = entry_of(stage)["deps"]
    return [dep.replace("${item.family}", family or "").replace("${item.frontend}", frontend) for dep in deps]


def covers(dep: str, path: str) -> bool:
    """Whether a change of the file ``path`` is a change of the dependency."""
    return path == dep or path.startswith(f"{dep}/")


def missing(stage: str, family: str | None = None, frontend: str = "learned") -> list[str]:
    """The files that a stage uses and does not depend on."""
    paths = sorted(str(MODULES[module].relative_to(ROOT)) for module in closure(stage, family, frontend))
    deps = deps_of(stage, family, frontend)
    return [path for path in paths if not any(covers(dep, path) for dep in deps)]


def touched_by(path: str) -> set[str]:
    """The stages that depend on a file of the code, of a model of the family ``resnet`` with its own stem."""
    return {stage for stage in STAGES if any(covers(dep, path) for dep in deps_of(stage, "resnet"))}


def unchanged(changed: set[str]) -> set[str]:
    return set(STAGES) - changed


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in PER_MODEL])
def test_a_stage_depends_on_all_that_it_imports(stage: str) -> None:
    assert missing(stage) == []


OWN = [(family, "learned") for family in FAMILIES] + [("resnet", frontend) for frontend in FRONTENDS]


@pytest.mark.parametrize(("family", "frontend"), OWN)
@pytest.mark.parametrize("stage", PER_MODEL)
def test_a_job_depends_on_all_that_it_imports_of_families_and_front_ends_on_its_own(
    stage: str, family: str, frontend: str
) -> None:
    assert missing(stage, family, frontend) == []
    paths = [f"robustness/architectures/{other}.py" for other in FAMILIES if other != family]
    paths += [f"robustness/frontends/{other}.py" for other in FRONTENDS if other != frontend]
    deps = deps_of(stage, family, frontend)
    assert not [path for path in paths if any(covers(dep, path) for dep in deps)]


@pytest.mark.parametrize("found", [FAMILIES, FRONTENDS], ids=["families", "front-ends"])
def test_no_entry_imports_another(found: dict[str, str]) -> None:
    for name, module in found.items():
        assert not imports(module) & (set(found.values()) - {module}), name


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_code_that_it_does_not_use(stage: str) -> None:
    family = "resnet" if stage in PER_MODEL else None
    used = [str(MODULES[module].relative_to(ROOT)) for module in closure(stage, family)]
    code = [dep for dep in deps_of(stage, family) if not dep.startswith(("data/", "reports/"))]
    files = ("robustness/report/published.json", "robustness/report/templates")
    assert [dep for dep in code if dep not in files and not any(covers(dep, path) for path in used)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_dependency_is_there_or_made(stage: str) -> None:
    made = [
        path for name in STAGES for key in ("outs", "metrics") for path in _paths(entry_of(name).get(key, []))
    ]
    for dep in deps_of(stage, "resnet"):
        assert (ROOT / dep).exists() or any(covers(dep, out) or covers(out, dep) for out in made), dep


def _paths(outs: list[Any]) -> list[str]:
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_parameters_that_it_reads(stage: str) -> None:
    reads = ["models.${key}" if key == "model" else key for key in reads_of(stage)]
    assert sorted(entry_of(stage)["params"]) == sorted(reads)
    keys = {read.partition(".")[0] for read in reads_of(stage)} | {"device", "threads"}
    assert used_settings(stage) <= keys


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("robustness/seeds.py", unchanged({"fetch_objects"})),
        ("robustness/data/image_set.py", unchanged({"fetch_objects"})),
        ("pipeline/stage.py", set(STAGES)),
        ("robustness/models.py", unchanged({"fetch_objects", "render"})),
        ("robustness/registry.py", unchanged({"fetch_objects"})),
        ("robustness/frontends/vone.py", {"transfer", "learning_curve", "collate", "report", "track"}),
        ("robustness/frontends/blocks/noise.py", unchanged({"fetch_objects", "render"})),
        ("robustness/architectures/vgg.py", {"transfer", "learning_curve", "collate", "report", "track"}),
        ("robustness/training.py", {"train", "learning_curve", "track"}),
        ("robustness/data/objects/renderer.py", {"render"}),
        ("robustness/shifts/corruption.py", unchanged({"fetch_objects", "train", "collate", "track"})),
        ("robustness/evaluation.py", {"evaluate", "learning_curve", "report"}),
        ("robustness/attacks/pgd.py", {"attack", "probe", "transfer"}),
        ("robustness/attacks/checks/strength.py", {"attack", "probe", "transfer"}),
        ("robustness/probes/ascent.py", {"probe"}),
        ("robustness/scores/attacks.py", {"collate", "report"}),
        ("robustness/tracking.py", {"track"}),
        ("robustness/report/plots/dots.py", {"report"}),
        ("robustness/report/probes/ascent.py", {"probe", "report"}),
        ("robustness/report/sections/clean.py", {"report"}),
        ("robustness/report/templates/report.typ", {"report"}),
        ("robustness/report/published.json", {"report"}),
        ("robustness/scores/twins.py", {"collate", "report"}),
        ("data/classes.csv", {"render"}),
    ],
)
def test_a_change_touches_what_it_must_and_no_more(path: str, stages: set[str]) -> None:
    """The stages that use the file itself; what follows them reruns where their outputs change."""
    assert (ROOT / path).is_file()
    assert touched_by(path) == stages


MODELS = ("lenet5", "alexnet")
FAMILY = '"""A new family, found because it lies there."""\n'


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code with a run of two models in it, of which DVC says that all is done."""
    from dvc.repo import Repo

    for package in ("pipeline", "robustness"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for name in ("dvc.yaml", ".dvcignore", "data/classes.csv", "data/README.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    params = yaml.safe_load((ROOT / "profiles" / "smoke.yaml").read_text())
    params["models"] = {name: params["models"][name] for name in MODELS}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    repo = Repo.init(no_scm=True)
    for out in (out for stage in repo.index.stages for out in stage.outs):
        path = Path(out.fs_path)
        if not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            path /= "made"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path.relative_to(tmp_path)))
    repo.commit(force=True)
    return tmp_path


def stale() -> set[str]:
    """The stages of the run in the current folder that DVC would do."""
    from dvc.repo import Repo

    with Repo() as repo:
        return set(repo.status())


def test_dvc_sees_a_change_of_the_seeds_everywhere_and_a_new_architecture_in_no_other_job(
    finished: Path,
) -> None:
    assert stale() == set()
    seeds = finished / "robustness" / "seeds.py"
    before = seeds.read_text()
    seeds.write_text(before + "\n# changed\n")
    jobs = {f"{stage}@{model}" for stage in PER_MODEL for model in MODELS}
    assert stale() == jobs | unchanged({"fetch_objects", *PER_MODEL})

    seeds.write_text(before)
    (finished / "robustness" / "architectures" / "lenet6.py").write_text(FAMILY)
    params = yaml.safe_load((finished / "params.yaml").read_text())
    params["models"]["new"] = {"family": "lenet6", "frontend": "learned"}
    (finished / "params.yaml").write_text(yaml.safe_dump(params))
    found = stale()
    assert {f"{stage}@new" for stage in PER_MODEL} <= found
    assert not found & (jobs | {"fetch_objects", "render"})
