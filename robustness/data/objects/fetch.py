"""Fetches the 3-D model library: five ``.sh3f`` files of the Debian package ``sweethome3d-furniture`` 1.8-1.

Sources, in this order: a folder that is named, a cache folder, an installed copy, the package itself (fetched
with ``apt-get download`` and unpacked with ``dpkg-deb``, without root). Sizes and SHA-256 are always checked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from robustness.errors import UserError
from robustness.whole_files import whole

PACKAGE = "sweethome3d-furniture"
INSTALLED = Path("/usr/share/sweethome3d/furniture")
FILES: dict[str, tuple[int, str]] = {
    "BlendSwap-CC-0.sh3f": (24649303, "7ef093fe70cedbb160bdb532d86a84580459635e34130c16777f549eba1993dc"),
    "BlendSwap-CC-BY.sh3f": (24942158, "29ae78937b4d5dbe93db74067817a984fa411f017b007fd666bc40368bdb0c83"),
    "KatorLegaz.sh3f": (9170450, "f512443b5d3a6903497573095f971f44334b3165ab32182133051fa9487764a6"),
    "Reallusion.sh3f": (10858918, "dd553207876ccec6372dde7aaea6b2dcf2d631997fcdb8a9856a639e0db9aa9b"),
    "Scopia.sh3f": (60777983, "b4505451b1e8ab339c101c0afddfef4e1a07b95aa8c821c61ec41487afd43850"),
}
"""Name, size in bytes and SHA-256 of each file of the library."""

WAYS = (
    "get it in one of three ways: name a folder that holds the five .sh3f files, install it "
    f"(apt-get install {PACKAGE}), or make its package reachable for apt-get download {PACKAGE} "
    "(version 1.8-1, Debian or Ubuntu)"
)


def fetch(
    folder: Path | str,
    *,
    source: Path | str | None = None,
    cache: Path | str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch the library into ``folder``: the five files and, under ``licences/``, their licence texts.

    ``source`` names a folder that holds the files (then nothing else is tried); ``cache`` a folder that is
    looked at first and filled after a download; ``say`` gets one line on what is being done. The folder
    appears whole or not at all; a whole one is left as it is. Raises UserError if a named source is wrong,
    or, in one line with the ways to get the library, if there is none to be had.
    """
    folder = Path(folder)
    if not problem(folder) and (folder / "licences").is_dir():
        return folder
    if source is not None:
        wrong = problem(Path(source))
        if wrong:
            raise UserError(f"model library: {wrong}; {WAYS}")
        say(f"copying the model library from {source}")
        _install(Path(source), folder)
        return folder
    places = [INSTALLED] if cache is None else [Path(cache), INSTALLED]
    failures = []
    for place in places:
        wrong = problem(place)
        if not wrong:
            say(f"copying the model library from {place}")
            _install(place, folder)
            return folder
        failures.append(wrong)
    with tempfile.TemporaryDirectory(prefix="model-library-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        try:
            package = download_package(Path(temporary), say)
            unpack_package(package, unpacked)
        except _UnreachableError as error:
            raise UserError(f"model library: {'; '.join([*failures, str(error)])}; {WAYS}") from error
        wrong = problem(unpacked)
        if wrong:
            raise UserError(
                f"model library: the package {package.name} is not version 1.8-1 ({wrong}); {WAYS}"
            )
        if cache is not None:
            _install(unpacked, Path(cache))
        _install(unpacked, folder)
    return folder


def problem(folder: Path) -> str | None:
    """What is wrong with the library in ``folder``, in a clause; None if all five files are whole."""
    for name, (size, digest) in FILES.items():
        path = folder / name
        if not path.is_file():
            return f"{path} does not exist"
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes instead of {size}"
        if _sha256(path) != digest:
            return f"{path} is damaged or another version (its SHA-256 differs)"
    return None


def download_package(folder: Path, say: Callable[[str], None] = lambda line: None) -> Path:
    """Download the Debian package into ``folder`` with apt-get, without root; the path of the .deb file.

    Where the machine's package lists are empty, lists of its own are fetched into ``folder`` first.
    """
    if shutil.which("apt-get") is None:
        raise _UnreachableError("this system has no apt-get")
    say(f"downloading the package {PACKAGE} (120 MB)")
    private = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (private / name).mkdir(parents=True, exist_ok=True)
    own_lists = ["-o", f"Dir::State={private / 'state'}", "-o", f"Dir::Cache={private / 'cache'}"]
    own_lists += ["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "APT::Sandbox::User="]
    for options, update in (([], False), (own_lists, True)):
        if update:
            say("fetching package lists for the download")
            _run_apt([*options, "update"], folder)
        failure = _run_apt([*options, "download", PACKAGE], folder)
        packages = sorted(folder.glob(f"{PACKAGE}_*.deb"))
        if failure is None and packages:
            return packages[0]
    raise _UnreachableError(f"apt-get download {PACKAGE} failed ({failure or 'no package came'})")


def unpack_package(package: Path, folder: Path) -> None:
    """Extract the five files and the copyright text of a .deb file into ``folder``, and nothing else.

    Members are chosen by exact name and size, so no member of a wrong package can be written elsewhere.
    Raises UserError if the package is damaged.
    """
    wanted = {f"usr/share/sweethome3d/furniture/{name}": (name, size) for name, (size, _) in FILES.items()}
    wanted[f"usr/share/doc/{PACKAGE}/copyright"] = ("copyright", 1 << 20)
    folder.mkdir(parents=True, exist_ok=True)
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    name, limit = wanted.get(member.name.removeprefix("./"), ("", 0))
                    content = archive.extractfile(member) if name and member.isfile() else None
                    if content is not None and member.size <= limit:
                        with (folder / name).open("wb") as copy:
                            shutil.copyfileobj(content, copy)
            process.communicate()
        if process.returncode:
            raise ValueError("dpkg-deb cannot read it")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UserError(f"model library: the package {package.name} is damaged ({error}); {WAYS}") from error


class _UnreachableError(Exception):
    """The package cannot be downloaded here; the text says why."""


def _run_apt(arguments: list[str], folder: Path) -> str | None:
    """Run apt-get in ``folder``; the last line of what it complained about, or None if it went well."""
    try:
        done = subprocess.run(
            ["apt-get", "-q", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return lines[-1] if lines else f"exit status {done.returncode}"


def _install(source: Path, folder: Path) -> None:
    """Copy the five files (checked before) and their licence texts; the folder appears whole."""
    with whole(folder) as temporary:
        (temporary / "licences").mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(source / name, temporary / name)
            with zipfile.ZipFile(temporary / name) as archive:
                text = archive.read("LICENSE.TXT")
            (temporary / "licences" / f"{Path(name).stem}.txt").write_bytes(text)
        for copyright_text in (source / "copyright", source / "licences" / "copyright"):
            if copyright_text.is_file():
                shutil.copyfile(copyright_text, temporary / "licences" / "copyright")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
