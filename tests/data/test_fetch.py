"""Fetching the model library: whole and checked, or one line that says what to do."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from robustness.data.objects import fetch as library_fetch
from robustness.errors import UserError


def small_archive(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("LICENSE.TXT", f"licence of {text}")
    return buffer.getvalue()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """A library of two small files in the place of the five, and nothing installed."""
    contents = {f"{name}.sh3f": small_archive(name) for name in ("One", "Two")}
    table = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
    monkeypatch.setattr(library_fetch, "FILES", table)
    monkeypatch.setattr(library_fetch, "INSTALLED", tmp_path / "not installed")
    return contents


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def package(path: Path, members: dict[str, bytes]) -> Path:
    """A Debian package made by hand: an ar archive with a gzipped tar inside."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": b"x", "data.tar.gz": buffer.getvalue()}
    data = b"!<arch>\n"
    for name, part in parts.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode()
        assert len(header) == 60
        data += header + part + b"\n" * (len(part) % 2)
    path.write_bytes(data)
    return path


def test_from_a_named_folder_with_licences(small: dict[str, bytes], tmp_path: Path) -> None:
    source = write(tmp_path / "source", small)
    said: list[str] = []
    folder = library_fetch.fetch(tmp_path / "library", source=source, say=said.append)
    assert sorted(path.name for path in folder.iterdir()) == ["One.sh3f", "Two.sh3f", "licences"]
    assert (folder / "licences" / "One.txt").read_text() == "licence of One"
    assert len(said) == 1
    library_fetch.fetch(folder, source=tmp_path / "gone")  # whole: nothing is needed any more


def test_the_cache_is_preferred_and_a_damaged_one_passed_over(
    small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = write(tmp_path / "cache", small)
    installed = write(tmp_path / "installed", small)
    monkeypatch.setattr(library_fetch, "INSTALLED", installed)
    said: list[str] = []
    library_fetch.fetch(tmp_path / "first", cache=cache, say=said.append)
    (cache / "One.sh3f").write_bytes(b"x" * len(small["One.sh3f"]))
    library_fetch.fetch(tmp_path / "second", cache=cache, say=said.append)
    assert [str(cache) in said[0], str(installed) in said[1]] == [True, True]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]), "SHA-256 differs"),
    ],
)
def test_a_wrong_named_folder_is_refused(small, tmp_path: Path, damage, message: str) -> None:
    source = write(tmp_path / "source", small)
    damage(source / "Two.sh3f")
    with pytest.raises(UserError, match=message) as error:
        library_fetch.fetch(tmp_path / "library", source=source)
    assert "Two.sh3f" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_no_way_at_all_is_one_line_with_the_three_ways(small, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(library_fetch.shutil, "which", lambda name: None)
    with pytest.raises(UserError) as error:
        library_fetch.fetch(tmp_path / "library", cache=tmp_path / "cache")
    text = str(error.value)
    assert "\n" not in text
    for way in ("name a folder", "apt-get install sweethome3d-furniture", "apt-get download"):
        assert way in text
    assert list(tmp_path.iterdir()) == []


DEBIAN = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this system has no dpkg-deb")


@DEBIAN
def test_a_package_is_downloaded_unpacked_and_cached(small, tmp_path: Path, monkeypatch) -> None:
    prefix = "./usr/share/sweethome3d/furniture/"
    members = {prefix + name: data for name, data in small.items()}
    members |= {"./usr/share/doc/sweethome3d-furniture/copyright": b"who made it", "../../evil": b"x"}

    def run_apt(arguments: list[str], folder: Path) -> str | None:
        if "download" in arguments:
            package(folder / "sweethome3d-furniture_1.8-1_all.deb", members)
        return None

    monkeypatch.setattr(library_fetch, "_run_apt", run_apt)
    folder = library_fetch.fetch(tmp_path / "a" / "library", cache=tmp_path / "cache")
    for place in (folder, tmp_path / "cache"):
        assert library_fetch.problem(place) is None
        assert (place / "licences" / "copyright").read_text() == "who made it"
    assert not list(tmp_path.rglob("evil"))


@DEBIAN
def test_a_package_of_another_version_and_a_damaged_one_are_refused(
    small, tmp_path: Path, monkeypatch
) -> None:
    name = "sweethome3d-furniture_2.0-1_all.deb"
    other = {"./usr/share/sweethome3d/furniture/One.sh3f": b"other"}

    def run_apt(arguments: list[str], folder: Path) -> None:
        package(folder / name, other)

    monkeypatch.setattr(library_fetch, "_run_apt", run_apt)
    with pytest.raises(UserError, match=r"2\.0-1_all\.deb is not version 1\.8-1"):
        library_fetch.fetch(tmp_path / "library")
    whole = package(tmp_path / name, other).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2 + 60])
    with pytest.raises(UserError, match="is damaged"):
        library_fetch.unpack_package(tmp_path / name, tmp_path / "unpacked")
    assert not (tmp_path / "library").exists()


def test_apt_lists_are_fetched_only_where_the_first_try_fails(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(library_fetch.shutil, "which", lambda name: "/usr/bin/apt-get")
    calls: list[list[str]] = []

    def run_apt(arguments: list[str], folder: Path) -> str | None:
        calls.append(arguments)
        return "E: Unable to locate package"

    monkeypatch.setattr(library_fetch, "_run_apt", run_apt)
    with pytest.raises(Exception, match="Unable to locate package"):
        library_fetch.download_package(tmp_path)
    assert [call[-1] if call[-1] == "update" else call[-2] for call in calls] == [
        "download",
        "update",
        "download",
    ]
    assert "-o" not in calls[0]
    assert "-o" in calls[2]


def test_the_real_library_is_whole(library_folder: Path) -> None:
    assert library_fetch.problem(library_folder) is None
    assert "Attribution" in (library_folder / "licences" / "Scopia.txt").read_text("latin-1")
