"""References to a user's own module: what is imported, which module is made, and what is refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tests.support.command import Outcome, assert_one_line, run_zoo
from tests.support.user_code import user_folder
from zoo.cli.module_reference import is_reference, load_reference, user_code

CODE = """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.rnn(x)[0])

def make_model():
    torch.manual_seed(0)
    return Tagger()

def with_arguments(path, *, classes):
    return Tagger(classes)

def returns_none():
    pass

def returns_a_tuple():
    return Tagger(), 3

def raises():
    return Tagger("two")

def leaves():
    raise SystemExit(3)

class Holder:
    model = make_model()

    def bound(self):
        return self.model

model = make_model().eval()
holder = Holder()
number = 3
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write a file of user code into the current folder."""
    with user_folder(tmp_path) as folder:
        yield folder.write


@pytest.fixture
def export(write: Write) -> Callable[[str], Outcome]:
    """Export a reference with an example that no module is asked for: the reference fails before."""
    np.save("e.npy", np.zeros(1))
    write("my_models.py", CODE)
    return lambda reference: run_zoo("export", "--onnx", reference, "--example", "e.npy")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("a:b", True),
        ("pkg.models:make", True),
        ("a:b.c", True),
        ("m.py:make", True),
        ("pkg/m.py:make", True),
        ("a", False),
        ("runs/a", False),
        ("a:b:c", False),
        ("a:", False),
        (":b", False),
        ("1a:b", False),
        ("a b:c", False),
        ("C:\\runs", False),
        ("taken:name", False),
    ],
)
def test_which_arguments_are_references(
    reference: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken:name").touch()
    assert is_reference(Path(reference)) is expected


def test_no_argument_is_no_reference() -> None:
    assert not is_reference(None)


@pytest.mark.parametrize(
    ("name", "trained"),
    [("make_model", True), ("Tagger", True), ("model", False), ("Holder.model", True), ("holder.bound", True)],
)
def test_what_a_reference_may_name(name: str, trained: bool, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A function, a class, an instance, an attribute, a method; a module in training mode gets eval()."""
    write("package/models.py", CODE)
    with user_code():
        made = load_reference(f"package.models:{name}")
    assert type(made.module).__name__ == "Tagger"
    assert not any(part.training for part in made.module.modules())
    notes = capsys.readouterr().err.splitlines()
    assert notes[0] == f"package/models.py: is imported for package.models:{name}, which runs its code"
    assert notes[1:] == [f"package.models:{name}: evaluation mode is set, by eval()"] * trained


@pytest.mark.parametrize(
    ("name", "random"), [("make_model", False), ("Tagger", True), ("model", False), ("once", False), ("counts", True)]
)
def test_random_weights_are_noticed(name: str, random: bool, write: Write) -> None:
    code = """
calls = []

def once():
    if calls:
        raise RuntimeError("called twice")
    calls.append(1)
    return Tagger()

def counts():
    calls.append(1)
    module = make_model()
    module.register_buffer("count", torch.tensor(len(calls)))
    return module
"""
    write("my_models.py", CODE + code)
    with user_code():
        assert load_reference(f"my_models:{name}").has_random_weights() is random


def test_the_path_and_stdout_are_restored(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        "talks.py",
        "print('imported')\nfrom torch import nn\ndef make():\n    print('made')\n    return nn.Linear(1, 1)",
    )
    path, stdout = list(sys.path), sys.stdout
    with user_code():
        load_reference("talks:make")
    assert (sys.path, sys.stdout) == (path, stdout)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "imported\n" in captured.err
    assert "made\n" in captured.err


def test_later_imports_find_installed_packages_first(write: Write) -> None:
    """A file of the current folder is found, but takes no installed package's place after the import."""
    write("late.py", "from torch import nn\ndef make():\n    import helper_of_late\n    return helper_of_late.net")
    write("helper_of_late.py", "from torch import nn\nnet = nn.Linear(1, 1)")
    with user_code():
        assert isinstance(load_reference("late:make").module, nn.Linear)
        assert sys.path[-1] == str(Path.cwd())
        assert sys.path[0] != str(Path.cwd())


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (
            "my_models:makemodel",
            "my_models has no 'makemodel'; it has Tagger, make_model, with_arguments, returns_none",
        ),
        ("my_models:makemodel", "; did you mean 'make_model'?"),
        ("my_models:holder.net", "Holder has no 'net'; it has "),
        ("my_models:number.model", "int has no 'model'; it has nothing"),
        ("my_models:number", "is of type int, expected a torch.nn.Module, or a function that returns one"),
        ("my_models:with_arguments", "needs arguments (path, classes); write a function without any"),
        ("my_models:returns_none", "returns None, expected a torch.nn.Module"),
        ("my_models:returns_a_tuple", "returns a value of type tuple, expected a torch.nn.Module"),
    ],
)
def test_a_name_that_gives_no_module(reference: str, text: str, export: Callable[[str], Outcome]) -> None:
    outcome = export(reference)
    note, error = outcome.stderr.splitlines()
    assert note == f"my_models.py: is imported for {reference}, which runs its code"
    assert outcome.exit_code == 2
    assert error.startswith(f"error: {reference}: ")
    assert text in error


@pytest.mark.parametrize(
    ("reference", "place", "text"),
    [
        ("my_models:raises", "my_models.py:8", "the call fails: TypeError: "),
        (
            "my_models:leaves",
            "my_models.py:30",
            "the call fails: SystemExit: 3; put what the file does as a script under",
        ),
        ("fails:make", "fails.py:2", "the import of fails fails: ValueError: no data here"),
        ("calls:make", "fails.py:2", "the import of calls fails: ValueError: no data here"),
        ("lacks:make", "lacks.py:1", "the import of lacks fails: ModuleNotFoundError: No module named 'not_installed'"),
        ("wrong:make", "wrong.py:2", "the import of wrong fails: SyntaxError: "),
        ("parses:make", "parses.py:2", "the import of parses fails: SystemExit: 2; put what"),
    ],
)
def test_code_that_fails_is_named_by_its_line(
    reference: str, place: str, text: str, export: Callable[[str], Outcome], write: Write, tmp_path: Path
) -> None:
    write("fails.py", "x = 1\nraise ValueError('no data\\nhere')")
    write("lacks.py", "import not_installed")
    write("wrong.py", "x = 1\ndef make(:\n")
    write("parses.py", "import argparse\nargparse.ArgumentParser().parse_args()")
    write("calls.py", "import fails")
    outcome = export(reference)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/{place}: {reference}: {text}")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("no_such_file:make", "there is no module 'no_such_file' in the current folder, "),
        ("my_models.part:make", "my_models.py is no package, so my_models.part cannot be in it"),
        ("package.no:make", "there is no module 'package.no' in the current folder"),
        ("my_models.py:make", "is a file, expected a module's name; write my_models:make"),
        ("package/models.py:make", "is a file, expected a module's name; write package.models:make"),
        ("/elsewhere/models.py:make", "expected a module's name; write models:make in the folder /elsewhere"),
        ("json:make", "'json' is already imported from "),
    ],
)
def test_nothing_runs_where_there_is_no_module(
    reference: str, text: str, export: Callable[[str], Outcome], write: Write
) -> None:
    write("package/models.py", "raise SystemExit")
    write("json.py", "raise SystemExit")
    assert_one_line(export(reference), 2, f"error: {reference}: ", text)


def test_a_parent_package_does_not_run_before_the_note(export: Callable[[str], Outcome], write: Write) -> None:
    write("loud/__init__.py", "print('loud runs')")
    write("loud/models.py", CODE)
    lines = export("loud.models:number").stderr.splitlines()
    assert lines[0] == "loud/models.py: is imported for loud.models:number, which runs its code"
    assert lines[1] == "loud runs"
