"""References to modules in a user's own code, such as ``package.module:make_model``.

To use such a module, its code is imported, and that runs it. So a reference is imported only where the user gave it as
an argument, and the file is named before it runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from zoo.cli import output
from zoo.errors import UsageError
from zoo.nn.cell_code import raised_at
from zoo.run.tensor_file import listed

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE = re.compile(rf"({_NAME}):({_NAME})")
_FILE = re.compile(rf"(.+)\.py:({_NAME})")


@dataclass(frozen=True)
class UserModule:
    """A module of a user's own code."""

    module: nn.Module
    """In evaluation mode."""
    reference: str
    source: Any
    """What the reference names: the module, or a function or class that gives it."""

    def has_random_weights(self) -> bool:
        """Return whether another call gives other weights; a function that fails when called again counts as fixed."""
        if isinstance(self.source, nn.Module):
            return False
        try:
            again = _module(self.source, self.reference).state_dict()
        except UsageError:
            return False
        return any(not _equal(value, again.get(name)) for name, value in self.module.state_dict().items())


def is_reference(target: Path | str | None) -> bool:
    """Return whether an argument refers to a module: ``NAME.NAME:NAME``, and no file has this name."""
    text = str(target)
    form = _REFERENCE.fullmatch(text) or _FILE.fullmatch(text)
    return target is not None and form is not None and not Path(target).exists()


@contextmanager
def user_code() -> Iterator[None]:
    """Prepare the process for code of the user: it can import from the current folder, and it prints to stderr.

    The current folder comes last, so that no file in it takes the place of an installed package; `load_reference` puts
    it first while it imports the module.
    """
    before = list(sys.path)
    sys.path.append(str(Path.cwd()))
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:] = before


def load_reference(reference: str) -> UserModule:
    """Import a module's code, make the module, and put it into evaluation mode; notes on stderr name what is done.

    Call it within `user_code`.

    Args:
        reference: ``package.module:name``; the name is an instance of torch.nn.Module, or a function or class that
            gives one when called without arguments.

    Raises:
        UsageError: the reference leads to no module, or the code raises an error; the message names the line.
    """
    if match := _FILE.fullmatch(reference):
        path, folder = Path(match[1]).absolute(), Path.cwd()
        inside = path.is_relative_to(folder)
        name = ".".join(path.relative_to(folder).parts) if inside else path.name
        where = "" if inside else f" in the folder {path.parent}"
        raise UsageError(f"{reference}: is a file, expected a module's name; write {name}:{match[2]}{where}")
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(f"{reference}: expected package.module:name, such as models:make_model")
    value = _attribute(_import(reference, match[1]), match[2], reference)
    module = _module(value, reference)
    if any(part.training for part in module.modules()):
        module.eval()
        output.note(f"{reference}: evaluation mode is set, by eval()")
    return UserModule(module, reference, value)


def _import(reference: str, name: str) -> ModuleType:
    """Import a module, with the current folder first on the path, after a note that names the file."""
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        spec = _find(reference, name, folder)
        output.note(f"{_shown(spec)}: is imported for {reference}, which runs its code")
        return importlib.import_module(name)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(error, reference, f"the import of {name}") from error
    finally:
        sys.path.remove(str(folder))


def _find(reference: str, name: str, folder: Path) -> ModuleSpec:
    """Return where a module is, without running any code."""
    top, *rest = name.split(".")
    here = PathFinder.find_spec(top, [str(folder)])
    before = sys.modules.get(top)
    if here and here.origin and before and getattr(before, "__file__", None) != here.origin:
        raise UsageError(
            f"{reference}: {top!r} is already imported from {getattr(before, '__file__', 'Python itself')}, in place "
            f"of {_shown(here)}; give your file another name"
        )
    spec = None
    with suppress(ValueError):  # a module without a spec, such as __main__
        spec = importlib.util.find_spec(top)
    parent = top
    for part in rest:
        if spec is None:
            break
        if spec.submodule_search_locations is None:
            raise UsageError(f"{reference}: {_shown(spec)} is no package, so {parent}.{part} cannot be in it")
        parent = f"{parent}.{part}"
        spec = PathFinder.find_spec(parent, spec.submodule_search_locations)
    if spec is None:
        raise UsageError(
            f"{reference}: there is no module {parent!r} in the current folder, {folder}, or among the installed "
            "packages; correct the name, or go to the folder that has it"
        )
    return spec


def _shown(spec: ModuleSpec) -> str:
    """Return the file of a module, relative to the current folder where it is inside."""
    if spec.origin is None:
        return spec.name
    path = Path(spec.origin)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _attribute(module: ModuleType, names: str, reference: str) -> Any:
    """Return the value of a dotted name in a module."""
    value: Any = module
    for name in names.split("."):
        try:
            value = getattr(value, name)
        except AttributeError as error:
            if raised_at(error):  # inside a property or __getattr__
                raise _failure(error, reference, name) from error
            candidates = _candidates(value)
            close = get_close_matches(name, candidates, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            owner = getattr(value, "__name__", type(value).__name__)
            raise UsageError(f"{reference}: {owner} has no {name!r}; it has {listed(candidates)}{hint}") from error
    return value


def _candidates(owner: Any) -> list[str]:
    """Return the public names of what may be meant: modules, and functions and classes of the same file."""
    home = owner.__name__ if isinstance(owner, ModuleType) else getattr(owner, "__module__", None)
    members = getattr(owner, "__dict__", {}).items()
    return [
        name
        for name, value in members
        if not name.startswith("_")
        and (isinstance(value, nn.Module) or (callable(value) and getattr(value, "__module__", None) == home))
    ]


def _module(value: Any, reference: str) -> nn.Module:
    """Return a module as it is given, or as a function or class makes it."""
    if isinstance(value, nn.Module):
        return value
    if not callable(value):
        raise UsageError(
            f"{reference}: is of type {type(value).__name__}, expected a torch.nn.Module, or a function that returns "
            "one"
        )
    if needed := _required(value):
        raise UsageError(
            f"{reference}: needs arguments ({', '.join(needed)}); write a function without any that returns the module"
        )
    try:
        made = value()
    except (Exception, SystemExit) as error:
        raise _failure(error, reference, "the call") from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{reference}: returns {_kind(made)}, expected a torch.nn.Module")
    return made


def _required(function: Any) -> list[str]:
    """Return the names of the arguments that have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a function that is not written in Python
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [item.name for item in parameters if item.default is item.empty and item.kind not in variadic]


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _equal(first: object, second: object) -> bool:
    """Return whether two values of a state are equal tensors, or no tensors."""
    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor):
        return type(first) is type(second)
    return first.shape == second.shape and bool(((first == second) | ((first != first) & (second != second))).all())


def _failure(error: BaseException, reference: str, what: str) -> UsageError:
    """Return the error for code of the user that raised one, with its line."""
    if isinstance(error, SyntaxError) and error.filename:
        place: tuple[object, object] | None = (error.filename, error.lineno)
    else:
        place = raised_at(error)
    where = f"{place[0]}:{place[1]}: " if place else ""
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    message = f"{where}{reference}: {what} fails: {type(error).__name__}: {text}"
    if isinstance(error, SystemExit):
        message += "; put what the file does as a script under if __name__ == '__main__'"
    return UsageError(message)
