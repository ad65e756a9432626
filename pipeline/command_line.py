"""The command ``robustness``: what is registered, and measurements of one model without a run.

``robustness list models`` and ``robustness evaluate timm:resnet50.tv_in1k --set image_folder --path DIR``; a
run with many models, its report and its cache is ``make repro``.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

import pandas as pd
from torch import nn

from pipeline import stage
from pipeline.new_profile import model_ids, new_profile
from robustness import interface
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.probes.result import ProbeResult

KINDS = ("models", "frontends", "attacks", "shifts", "probes", "sets")
EXAMPLES = """examples:
  robustness list attacks
  robustness evaluate package:efficientnet_lite0 --set imagenet_samples --size 224 \\
      --condition corruption/fog/3 --condition plane/rotation/30
  robustness attack file:net.safetensors --architecture resnet18 --set cifar10 --path data/cifar10 \\
      --size 32 --epsilons 0.5 1 2
  robustness probe python:mynet:build --set image_folder --path photos --size 64 --probe filters
  robustness report timm:resnet18.tv_in1k python:mynet:build --set image_folder --path photos --size 224 \\
      --condition corruption/fog/3 --epsilons 0.5 1 2 --probe filters --out report
"""


def registered(kind: str) -> pd.DataFrame:
    """What is registered of a kind of :data:`KINDS`, a row each."""
    if kind == "models":
        from robustness import architectures

        found = [architectures.get(name) for name in architectures.names()]
        rows = [(e.name, e.module, e.year, e.parameters, e.paper) for e in found]
        columns = ["model", "family", "year", "parameters", "paper"]
        return pd.DataFrame(rows, columns=columns).astype({"parameters": "Int64"})
    if kind == "shifts":
        from robustness import shifts

        found = [shifts.get(name) for name in shifts.names()]
        return pd.DataFrame(
            [(f.id, f.applies, f.description) for f in found], columns=["shift", "made", "what"]
        )
    if kind == "frontends":
        from robustness.frontends import registry as frontends

        said = {name: frontends.get(name).replace for name in frontends.names()}
    elif kind == "attacks":
        from robustness import attacks

        said = {name: attacks.get(name).build for name in attacks.names()}
    elif kind == "probes":
        from robustness import probes

        said = {name: probes.get(name).run for name in probes.names()}
    else:
        from robustness.data.on_disk import DATA_SETS

        said = {each.name: each.listing for each in DATA_SETS}
    rows = [(name, " ".join((inspect.getdoc(target) or "").partition("\n\n")[0].split()))
            for name, target in said.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=[kind.removesuffix("s"), "what"])


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    top = argparse.ArgumentParser(prog="robustness", description=__doc__, epilog=EXAMPLES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True)
    listed = commands.add_parser("list", help="what is registered of a kind")
    listed.add_argument("kind", choices=KINDS)
    new = commands.add_parser("new-profile", help="a profile for trained models on a folder of images")
    new.add_argument("name")
    new.add_argument("--path", help="a subfolder for each class; asked for if left out")
    new.add_argument("--size", type=int, default=224, help="of the images, in pixels")
    new.add_argument("--models", nargs="+", help="weights, as in a profile; asked for if left out")
    for name, what in (("evaluate", "accuracy on a set, clean and under conditions"),
                       ("attack", "robust accuracy by ε"), ("probe", "a probe's numbers"),
                       ("report", "all three, of one or more models, as PDF and HTML")):  # fmt: skip
        add = commands.add_parser(name, help=what).add_argument
        weights = "weights as in a profile (timm:…, python:…), or a run's weights.safetensors"
        add("model", nargs="+" if name == "report" else None, help=weights)
        add("--architecture", help="of weights file:…")
        add("--set", required=True, help="robustness list sets, digits or mnist")
        add("--path", type=Path, help="its folder")
        add("--size", type=int, required=True, help="of the images, in pixels")
        add("--count", type=int, default=100, help="clean images that are attacked, probed or shifted")
        add("--seed", type=int, default=0)
        add("--device", default="auto")
        if name == "report":
            add("--out", type=Path, default=Path("report"), help="the folder that it is written to")
        else:
            add("--csv", type=Path, help="where the whole table goes; the scores alone are printed")
        if name in ("evaluate", "report"):
            add("--condition", action="append", default=[], metavar="SHIFT/FACTOR/LEVEL")
        if name in ("attack", "report"):
            add("--norm", default="linf", choices=("linf", "l2", "l1"))
            add("--epsilons", type=float, nargs="+", default=[1.0, 2.0, 4.0], help="255ths in L∞")
            add("--suite", default="standard")
            add("--rungs", type=int)
        if name == "probe":
            add("--probe", required=True, help="robustness list probes")
        elif name == "report":
            add("--probe", action="append", default=[], help="may be given again")
    return top


def measure(given: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The whole table of a measurement, and what of it is printed."""
    images = interface.open_set(given.set, given.path, image_size=given.size, seed=given.seed)
    model = interface.load_model(given.model, images, architecture=given.architecture)
    if given.command == "probe":
        how = {"images_seen": given.count, "seed": given.seed, "device": given.device}
        table = interface.probe(model, images, given.probe, **how).table
        return table, table[table["unit"] == "all"][["layer", "metric", "value"]]
    table = (_evaluated if given.command == "evaluate" else _attacked)(given, model, images)
    scores = interface.score(table, images, seed=given.seed)
    return table, scores[["metric", "value", "low", "high", "n"]]


def write_report(given: argparse.Namespace) -> Path:
    """Evaluate, attack and probe every model, and write the report; the path of its PDF."""
    images = interface.open_set(given.set, given.path, image_size=given.size, seed=given.seed)
    results: list[pd.DataFrame | ProbeResult] = []
    for weights, name in zip(given.model, model_ids(given.model), strict=True):
        model = interface.load_model(weights, images, architecture=given.architecture)
        results += [_evaluated(given, model, images, name), _attacked(given, model, images, name)]
        how = {"images_seen": given.count, "name": name, "seed": given.seed, "device": given.device}
        results += [interface.probe(model, images, each, **how) for each in given.probe]
    interface.write_report(given.out, images, *results, set_name=given.set, seed=given.seed)
    return given.out / "robustness.pdf"


def _evaluated(
    given: argparse.Namespace, model: nn.Module, images: ImageSet, name: str = "model"
) -> pd.DataFrame:
    how = {"count": given.count, "name": name, "seed": given.seed, "device": given.device}
    return interface.evaluate(model, images, _conditions(given.condition), **how)


def _attacked(
    given: argparse.Namespace, model: nn.Module, images: ImageSet, name: str = "model"
) -> pd.DataFrame:
    limits = {"norm": given.norm, "suite": given.suite, "rungs": given.rungs, "count": given.count}
    how = {"name": name, "seed": given.seed, "device": given.device}
    return interface.attack(model, images, given.epsilons, **limits, **how)


def _conditions(texts: list[str]) -> dict[str, dict[str, list[object]]]:
    found: dict[str, dict[str, list[object]]] = {}
    for text in texts:
        parts = text.split("/")
        if len(parts) != 3:
            raise UserError(f"--condition {text}: write shift/factor/level, as corruption/fog/3")
        shift, factor, level = parts
        found.setdefault(shift, {}).setdefault(factor, []).append(_level(level))
    return found


def _level(text: str) -> object:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _new_profile(given: argparse.Namespace) -> None:
    try:
        path = given.path or input("folder with a subfolder for each class: ").strip()
        weights = given.models or input("weights, as timm:resnet50.tv_in1k python:mynet:build: ").split()
    except EOFError:
        raise UserError("new-profile: there is nobody to ask; give --path and --models") from None
    made = new_profile(given.name, path, given.size, weights)
    print(f"{made}; run it: make repro PROFILE={given.name}")


def _run(given: argparse.Namespace) -> None:
    if given.command == "new-profile":
        _new_profile(given)
    elif given.command == "report":
        print(write_report(given))
    elif given.command == "list" and not sys.stdout.isatty():
        print(registered(given.kind).to_csv(index=False), end="")
    elif given.command == "list":
        _show(registered(given.kind))
    else:
        whole, shown = measure(given)
        if given.csv is not None:
            whole.to_csv(given.csv, index=False)
        _show(shown)


def _show(table: pd.DataFrame) -> None:
    print(table.to_string(index=False, max_colwidth=70, float_format="%.4g", na_rep=""))


def main(arguments: list[str] | None = None) -> None:
    """Run the command; status 2 and one line for a user's mistake."""
    given = parser().parse_args(arguments)
    sys.path.append("")  # networks of one's own lie in the current folder
    stage.guard(lambda: _run(given))


if __name__ == "__main__":
    main()
