"""Reads the catalogues of the model library: ``.sh3f`` files, ZIP archives of OBJ models with their metadata.

The format is that of Sweet Home 3D: ``PluginFurnitureCatalog.properties`` holds numbered
keys (``name#12=Chair``); sizes are in centimetres; y points up and the front of a model looks along +z.
"""

from __future__ import annotations

import os
import posixpath
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustness.errors import UserError

CATALOGUE = "PluginFurnitureCatalog.properties"
MAX_FILE_BYTES = 64 << 20
"""No file inside an archive may claim to unpack to more (the largest real one has 17 MB)."""

LICENCES = {
    "BlendSwap-CC-0": "CC0 1.0",
    "BlendSwap-CC-BY": "CC BY 3.0",
    "KatorLegaz": "CC BY 3.0 US",
    "Reallusion": "CC BY 3.0 US",
    "Scopia": "CC BY 3.0",
}
"""The licence of each catalogue file, as its LICENSE.TXT and the package's copyright file state it."""


@dataclass(frozen=True)
class Model:
    """What a catalogue says of one model. ``size`` is width (x), height (y), depth (z) in centimetres."""

    id: str
    catalogue: str
    name: str
    category: str
    creator: str
    licence: str
    path: str
    size: tuple[float, float, float]
    rotation: tuple[tuple[float, ...], ...]
    elevation: float


class ModelLibrary:
    """The models of all catalogues in a folder; file contents are read on demand.

    Raises UserError if the folder holds no ``.sh3f`` file, or one of them is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._archives: dict[tuple[int, str], zipfile.ZipFile] = {}
        self.models: dict[str, Model] = {}
        files = sorted(self.folder.glob("*.sh3f"))
        if not files:
            raise UserError(f"model library {self.folder}: no .sh3f file there; fetch the library first")
        for file in files:
            self._read_catalogue(file)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, model_id: str) -> Model:
        """The model with this id; UserError if the library has none."""
        if model_id not in self.models:
            raise UserError(f"model library {self.folder}: no model {model_id!r}")
        return self.models[model_id]

    def names(self, catalogue: str) -> list[str]:
        """The paths of all files inside one catalogue's archive."""
        return self._archive(catalogue).namelist()

    def read(self, catalogue: str, path: str) -> bytes:
        """The content of one file inside a catalogue's archive.

        Raises ValueError if the path leaves the archive, is not in it, claims an absurd size, or is damaged.
        """
        path = safe_path(path)
        archive = self._archive(catalogue)
        try:
            if archive.getinfo(path).file_size > MAX_FILE_BYTES:
                raise ValueError(f"{path} claims {archive.getinfo(path).file_size} bytes")
            return archive.read(path)
        except KeyError as error:
            raise ValueError(f"{path} is not in {catalogue}.sh3f") from error
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{path} in {catalogue}.sh3f is damaged") from error
        except Exception as error:  # zlib.error has no common base with the above
            raise ValueError(f"{path} in {catalogue}.sh3f cannot be read ({error})") from error

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()

    def _archive(self, catalogue: str) -> zipfile.ZipFile:
        key = (os.getpid(), catalogue)  # a forked process must not share the place in the open file
        if key not in self._archives:
            path = self.folder / f"{catalogue}.sh3f"
            try:
                self._archives[key] = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise UserError(
                    f"model library: {path} is damaged ({error}); fetch the library again"
                ) from error
        return self._archives[key]

    def _read_catalogue(self, file: Path) -> None:
        try:
            self._archive(file.stem)
            text = self.read(file.stem, CATALOGUE).decode("latin-1")
            for entry in _entries(text):
                model = _model(entry, file.stem)
                if model.id in self.models:
                    raise ValueError(f"two models have the id {model.id}")
                self.models[model.id] = model
        except ValueError as error:
            raise UserError(f"model library: {file} is damaged ({error}); fetch the library again") from error


def safe_path(path: str) -> str:
    """The normal form of a path inside an archive; ValueError if it would leave the archive."""
    normal = posixpath.normpath(path.replace("\\", "/").lstrip("/"))
    if normal.startswith("../") or normal in ("..", ".") or re.match(r"^[A-Za-z]:", normal):
        raise ValueError(f"the path {path!r} leaves the archive")
    return normal


def _entries(text: str) -> list[dict[str, str]]:
    """The numbered entries of a properties file, in their order."""
    entries: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)#(\d+)\s*=\s*(.*)", line)
        if match:
            value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), match[3].strip())
            entries.setdefault(int(match[2]), {})[match[1]] = value
    if not entries:
        raise ValueError(f"{CATALOGUE} lists no models")
    return [entries[number] for number in sorted(entries)]


def _model(entry: dict[str, str], catalogue: str) -> Model:
    try:
        size = tuple(float(entry[key]) for key in ("width", "height", "depth"))
        rotation = np.eye(3)
        if "modelRotation" in entry:
            rotation = np.array(entry["modelRotation"].split(), dtype=float).reshape(3, 3)
        model = Model(
            id=f"{catalogue}/{entry['id'].rpartition('#')[2]}",
            catalogue=catalogue,
            name=entry["name"],
            category=entry.get("category", ""),
            creator=entry.get("creator", ""),
            licence=LICENCES.get(catalogue, "unknown"),
            path=safe_path(entry["model"]),
            size=size,
            rotation=tuple(tuple(row) for row in rotation.tolist()),
            elevation=float(entry.get("elevation", 0)),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"the entry {entry.get('id', '?')} is wrong: {error}") from error
    if not np.isfinite([*size, *rotation.ravel()]).all() or not all(0.01 <= side <= 1e5 for side in size):
        raise ValueError(f"the entry {model.id} has the size {size}")
    return model
