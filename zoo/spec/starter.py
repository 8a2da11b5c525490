"""Starter specs: copies inside an installed package, the files of ``specs/`` themselves in a clone."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from zoo.errors import UsageError
from zoo.files import write_atomically

SUFFIX = ".yaml"


def starter_specs() -> dict[str, Path]:
    """Return the file of each starter spec by the spec's name; empty where the files were removed."""
    package = Path(str(files("zoo")))
    installed, clone = package / "starter_specs", package.parent / "specs"  # only a wheel contains copies
    folder = installed if installed.is_dir() else clone
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def resolve(path: Path) -> Path:
    """Return the file of the spec that a user names: a path, or the name of a starter spec.

    Args:
        path: the argument of the command. A bare name, without folder and suffix, that is not an existing file may be
            the name of a starter spec.

    Returns:
        The file of the starter spec, or ``path`` unchanged, which `zoo.spec.spec.load_document` then reads or rejects.

    Raises:
        UsageError: the file does not exist, and a starter spec has its name or a similar one.
    """
    specs = starter_specs()
    name = path.name.removesuffix(SUFFIX)
    if path == Path(name) and name in specs and not path.is_file():
        return specs[name]
    close = [name] if name in specs else get_close_matches(name.lower(), specs, 1)
    try:
        left_to_reader = not str(path).isprintable() or path.exists()
    except OSError:  # for example a name that is too long, or a folder without permission
        left_to_reader = True
    if not close or left_to_reader:
        return path
    raise UsageError(
        f"{path}: there is no such file; 'zoo build {close[0]}' uses the starter spec of that name, and 'zoo init' "
        "writes all of them to specs/"
    )


def write_starter_specs(folder: Path) -> list[Path]:
    """Copy every starter spec into ``folder``, which is created if missing; identical files stay untouched.

    Returns:
        The paths of all copies, untouched files included.

    Raises:
        UsageError: a different file with one of the names exists; nothing is written then.
        RunError: the folder cannot be written to.
    """
    copies = {folder / path.name: path.read_bytes() for path in starter_specs().values()}
    existing = [copy for copy in copies if copy.exists() or copy.is_symlink()]
    changed = [copy for copy in existing if not copy.is_file() or copy.read_bytes() != copies[copy]]
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UsageError(
            f"{changed[0]}: exists and has other content{more}; nothing was written; name a new folder: zoo init DIR"
        )
    for copy, content in copies.items():
        if copy not in existing:
            write_atomically(copy, content)
    return list(copies)
