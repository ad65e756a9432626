"""Pack the models of a finished run for a release: ``python -m pipeline.export``, in the run's folder.

``export/<model>.safetensors``, ``.md`` (card), ``.json`` (claims) and ``export/models.json`` (SHA-256 of each
file) in one zip; ``weights: "checkpoint:<file>"`` takes such a model into another run without training.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

from pipeline import files, stage
from robustness.errors import UserError
from robustness.weights.reading import digest
from robustness.whole_files import whole
from robustness.yaml_file import read_yaml

PACK = Path("export.zip")
LIMIT = 100 * 2**20  # bytes; what hubs and release pages take without further ado


def export() -> None:
    """Write ``export.zip``. Raises UserError for a run that is not finished, and for a pack over 100 MiB."""
    sources: dict[str, Path] = {}
    for name in read_yaml(files.PARAMS)["models"]:
        sources[f"{name}.safetensors"] = files.weights(name)
        sources |= {f"{name}{end}": files.REPORTS / "cards" / f"{name}{end}" for end in (".md", ".json")}
    for path in sources.values():
        if not path.is_file():
            raise UserError(f"{path}: missing; finish the run (make repro) before its models are packed")
    if (size := sum(path.stat().st_size for path in sources.values())) > LIMIT:
        raise UserError(f"the models take {size / 2**20:.0f} MiB, 100 at most; pack a profile with fewer")
    listed = {name: digest(path) for name, path in sources.items()}
    with whole(PACK) as place, zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, path in sources.items():
            pack.write(path, f"export/{name}")
        pack.writestr("export/models.json", json.dumps(listed, indent=1, sort_keys=True))
    print(
        f"{PACK.absolute()}: {len(sources) // 3} models, {PACK.stat().st_size / 2**20:.1f} MiB",
        file=sys.stderr,
    )


if __name__ == "__main__":
    stage.guard(export)
