"""The specs to start with: part of the installed package, and in a clone the files of ``specs/`` themselves."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from zoo.errors import UsageError
from zoo.files import write_atomically

SUFFIX = ".yaml"


def starter_specs() -> dict[str, Path]:
    """The file of each spec that comes with the package, by its name; empty where they were removed."""
    package = Path(str(files("zoo")))
    installed, clone = package / "starter_specs", package.parent / "specs"  # a wheel holds copies, a clone needs none
    folder = installed if installed.is_dir() else clone
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def resolve(path: Path) -> Path:
    """The spec that is meant: the file at ``path``, or the starter spec of that name.

    Args:
        path: as a user gives it. A name alone, without folder and ending, may be that of a starter spec. Anything
            else is returned as it is, for the reader of specs to read or to refuse.

    Raises:
        UsageError: where there is no such file, and a starter spec has that name or one that is close to it.
    """
    specs = starter_specs()
    name = path.name.removesuffix(SUFFIX)
    if path == Path(name) and name in specs and not path.is_file():
        return specs[name]
    close = [name] if name in specs else get_close_matches(name.lower(), specs, 1)
    try:
        left_to_reader = not str(path).isprintable() or path.exists()
    except OSError:  # a name that is too long, a folder that cannot be looked into
        left_to_reader = True
    if not close or left_to_reader:
        return path
    raise UsageError(
        f"{path}: there is no such file; 'zoo build {close[0]}' takes the starter spec of that name, and 'zoo init' "
        "writes all of them to specs/"
    )


def write_starter_specs(folder: Path) -> list[Path]:
    """Copy every starter spec into ``folder``, which is made where there is none. A copy that is there is left alone.

    Raises:
        UsageError: where another file of one of the names is there already; then nothing is written.
        RunError: where the folder cannot be written to.
    """
    copies = {folder / path.name: path.read_bytes() for path in starter_specs().values()}
    existing = [copy for copy in copies if copy.exists() or copy.is_symlink()]
    changed = [copy for copy in existing if not copy.is_file() or copy.read_bytes() != copies[copy]]
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UsageError(
            f"{changed[0]}: exists already and is another{more}; nothing was written; name a new folder: zoo init DIR"
        )
    for copy, content in copies.items():
        if copy not in existing:
            write_atomically(copy, content)
    return list(copies)
