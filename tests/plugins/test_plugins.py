"""Plugins: built-in and external ones are found alike; a broken one is reported and leaves the others usable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

import zoo
from tests.plugins import stranger
from tests.plugins.broken import observer_raises
from tests.support.command import run_zoo
from tests.support.specs import SMALLEST
from zoo.entry_points import EntryPoint, entry_points
from zoo.plugins.registry import Registry, build_registry, load_registry

BUILT_IN = ("rnn", "lstm", "gru", "bilstm")
SPEC = "data: {name: waves}\narchitecture: {name: mgu, hidden_size: 4}\ntask: {name: sign}\ntraining: {epochs: 2}\n"


def points_of(names: Mapping[str, str], distribution: str = "stranger 1.2.3") -> list[EntryPoint]:
    return [EntryPoint(name, module, distribution) for name, module in names.items()]


def provided(registry: Registry) -> set[str]:
    """Everything that the registry provides, as ``kind.name``."""
    kinds: dict[str, Mapping[str, object]] = {
        "architecture": registry.architectures,
        "data": registry.data,
        "task": registry.tasks,
        "exporter": registry.exporters,
    }
    return {f"{kind}.{name}" for kind, things in kinds.items() for name in things}


class Install(Protocol):
    def __call__(self, names: Mapping[str, str], distribution: str = "stranger") -> None:
        """Install a distribution of version 1.2.3 with these entry points until the test ends, as pip would."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    folder = tmp_path / "site-packages"

    def install(names: Mapping[str, str], distribution: str = "stranger") -> None:
        info = folder / f"{distribution}-1.2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n")
        lines = [f"{name} = {module}" for name, module in names.items()]
        (info / "entry_points.txt").write_text("\n".join(["[zoo]", *lines, ""]))
        monkeypatch.syspath_prepend(folder)
        load_registry.cache_clear()

    yield install
    load_registry.cache_clear()


# the built-ins


def test_everything_comes_through_entry_points() -> None:
    registry = build_registry(entry_points())
    assert registry.faults == []
    assert provided(registry) == {f"{point.kind}.{point.label}" for point in entry_points()}
    assert {f"architecture.{name}" for name in BUILT_IN} <= provided(registry)
    assert provided(build_registry([])) == set()


@pytest.mark.parametrize("point", entry_points(), ids=lambda point: point.name)
def test_nothing_is_provided_without_its_entry_point(point: EntryPoint) -> None:
    """For example, the module of bilstm imports that of lstm, but does not provide lstm."""
    everything = provided(build_registry(entry_points()))
    rest = build_registry([other for other in entry_points() if other != point])
    assert provided(rest) == everything - {f"{point.kind}.{point.label}"}
    assert rest.faults == []


def test_origins_name_the_distribution() -> None:
    registry = build_registry([*entry_points(), *points_of(stranger.ENTRY_POINTS)])
    assert registry.origins["architecture.lstm"] == f"recurrent-zoo {zoo.__version__}"
    assert registry.origins["architecture.mgu"] == registry.origins["task.sign"] == "stranger 1.2.3"


def test_entry_points_of_a_distribution_are_read_without_importing_it(install: Install) -> None:
    install({"exotic": "no_such_module", "data.exotic": "no_such_module"})
    points = [point for point in entry_points() if point.distribution == "stranger 1.2.3"]
    assert {point.name: (point.kind, point.label) for point in points} == {
        "exotic": ("architecture", "exotic"),
        "data.exotic": ("data", "exotic"),
    }
    outcome = run_zoo("list", "--json")
    assert {"name": "exotic", "plugin": "stranger 1.2.3"} in json.loads(outcome.stdout)["architectures"]
    assert outcome.stderr == ""


# broken plugins

HOOKS = (
    "zoo_register_cells, zoo_register_layers, zoo_register_data, zoo_register_tasks, zoo_register_exporters, "
    "zoo_after_epoch"
)

BROKEN = {
    "import_error": "cannot be imported: ImportError: libexotic.so.1: cannot open shared object file",
    "no_such_module": "cannot be imported: ModuleNotFoundError: No module named 'tests.plugins.broken.no_such_module'",
    "syntax_error": "cannot be imported: SyntaxError: ",
    "exits": "cannot be imported: SystemExit: usage: exits FILE",
    "refused_type": "cannot be imported: PydanticSchemaGenerationError: ",
    "no_hooks": "provides no architecture 'no_hooks'; remove the entry point",
    "misspelt_hook": "unknown hook 'zoo_register_cell' in plugin <module 'tests.plugins.broken.misspelt_hook' from",
    "unmarked_hook": "zoo_register_cells: needs @zoo.hookimpl above it",
    "wrong_argument": "Argument(s) {'registry'} are declared in the hookimpl but can not be found in the hookspec",
    "hook_raises": r"zoo_register_cells failed: KeyError: 'no\nsuch\ncell'",
    "hook_exits": "zoo_register_cells failed: SystemExit: 3",
    "returns_none": "zoo_register_cells must return a list of classes, got None",
    "returns_string": "zoo_register_cells must return a list of classes, got 'returns_string'",
    "returns_class": "zoo_register_cells must return a list of classes, got MGUCell",
    "returns_instance": "zoo_register_cells: expected a subclass of zoo.Cell, got MGUCell(",
    "returns_wrong_kind": "zoo_register_cells: expected a subclass of zoo.Cell, got Waves",
    "nameless": "Nameless needs a class attribute 'name' of letters, digits and '_', a letter first, got None",
    "exporter.bad_name": (
        "Outside needs a class attribute 'name' of letters, digits and '_', a letter first, got '../outside'"
    ),
    "other_name": "provides the architecture 'hidden_away', but none of its entry points has that name",
    "abstract": "Abstract does not implement step",
    "data.plain_config": "cannot be used: TypeError: PlainConfig.Config must be a subclass of zoo.Config",
    "task.no_schema": "cannot be used: PydanticInvalidForJsonSchema: Cannot generate a JsonSchema",
    "taken_field": "cannot be used: TypeError: the field dropout of its Config is reserved; rename it",
    "layer_without_cell": "cannot be used: AttributeError: type object 'LayerWithoutCell' has no attribute 'cell'",
}
"""By entry point, whose last part is the module's name: a part of the reported fault."""


def broken_points() -> dict[str, str]:
    return {name: f"tests.plugins.broken.{name.rpartition('.')[2]}" for name in BROKEN}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_one_fault_and_the_others_work(name: str) -> None:
    healthy = [*entry_points(), *points_of(stranger.ENTRY_POINTS)]
    module = broken_points()[name]
    registry = build_registry([EntryPoint(name, module, "broken 0.1"), *healthy])
    (fault,) = registry.faults
    assert fault.startswith(f"plugin {name} (broken 0.1, {module}): ")
    assert BROKEN[name] in fault
    assert len(fault.splitlines()) == 1
    assert provided(registry) == provided(build_registry(healthy))


def test_every_broken_module_is_tested() -> None:
    folder = Path(__file__).parent / "broken"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    tested = {name.rpartition(".")[2] for name in BROKEN} - {"no_such_module"} | {"duplicate", "observer_raises"}
    assert modules == tested


@pytest.mark.parametrize("name", ["misspelt_hook", "wrong_argument"])
def test_the_fault_of_an_invalid_hook_lists_the_hooks(name: str) -> None:
    (fault,) = build_registry(points_of({name: f"tests.plugins.broken.{name}"})).faults
    assert fault.endswith(f"; the hooks are {HOOKS}")


def test_all_broken_plugins_at_once() -> None:
    registry = build_registry([*points_of(broken_points(), "broken 0.1"), *entry_points()])
    assert len(registry.faults) == len(BROKEN)
    assert provided(registry) == provided(build_registry(entry_points()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tests.plugins.broken.no_hooks:VALUE", "must be a module, got ['not a module']; name the module alone"),
        ("tests.plugins.stranger:MGUCell", "must be a module, got MGUCell"),
        (
            "tests.plugins.stranger:absent",
            "cannot be imported: AttributeError: module 'tests.plugins.stranger' has no attribute 'absent'",
        ),
        ("not a module!", "cannot be imported: "),
        ("", "cannot be imported: "),
    ],
)
def test_entry_points_that_name_no_module(value: str, expected: str) -> None:
    (fault,) = build_registry(points_of({"mgu": value})).faults
    assert fault.startswith(f"plugin mgu (stranger 1.2.3, {value}): ")
    assert expected in fault


def test_a_name_that_is_taken_stays_with_the_first() -> None:
    points = [*entry_points(), *points_of({"lstm": "tests.plugins.broken.duplicate"})]
    registry = build_registry(points)
    (fault,) = registry.faults
    assert fault == (
        "plugin lstm (stranger 1.2.3, tests.plugins.broken.duplicate): the architecture 'lstm' is already provided by "
        f"recurrent-zoo {zoo.__version__}; rename one"
    )
    assert registry.architectures["lstm"].layer.cell.__module__ == "zoo_lstm"


def test_no_distribution_replaces_a_built_in(install: Install) -> None:
    install({"lstm": "tests.plugins.broken.duplicate"}, "aardvark")
    rivals = [point.distribution for point in entry_points() if point.name == "lstm"]
    assert rivals == [f"recurrent-zoo {zoo.__version__}", "aardvark 1.2.3"], "the built-in before the alphabet"
    assert load_registry().architectures["lstm"].layer.cell.__module__ == "zoo_lstm"


def test_an_entry_point_that_its_plugin_does_not_fill() -> None:
    module = "tests.plugins.stranger"
    names = {**stranger.ENTRY_POINTS, "task.promised": module, "observer.second": module}
    registry = build_registry(points_of(names))
    assert registry.faults == [
        f"plugin task.promised (stranger 1.2.3, {module}): provides no task 'promised'; remove the entry point",
        f"plugin observer.second (stranger 1.2.3, {module}): provides no observer 'second'; remove the entry point",
    ]


def test_ctrl_c_during_an_import_is_not_recorded_as_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted_plugin.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        build_registry(points_of({"x": "interrupted_plugin"}))


# observers


def record(epoch: int) -> zoo.EpochRecord:
    return zoo.EpochRecord(epoch, 0.5, {"loss": 0.5}, 0.1, 1.0, best=True)


def test_a_failing_observer_is_one_fault_and_is_not_called_again() -> None:
    stranger.NOTES.clear()
    observer_raises.CALLS.clear()
    names = {"observer.bad": "tests.plugins.broken.observer_raises", "observer.notes": "tests.plugins.stranger"}
    registry = build_registry(points_of(names))
    registry.faults.clear()  # those of the stranger's classes, which have no entry points here
    expected = (
        "plugin observer.bad (stranger 1.2.3, tests.plugins.broken.observer_raises): zoo_after_epoch failed, so it is "
        "not called again: ConnectionError: no route to host"
    )
    assert registry.after_epoch(record(1)) == [expected]
    assert registry.after_epoch(record(2)) == []
    assert registry.faults == [expected]
    assert observer_raises.CALLS == [1]
    assert [note.epoch for note in stranger.NOTES] == [1, 2]


# the commands


def test_zoo_plugins_shows_everything_and_succeeds(install: Install) -> None:
    install(stranger.ENTRY_POINTS)
    outcome = run_zoo("plugins")
    assert outcome.exit_code == 0
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert ["architecture", "lstm", "recurrent-zoo", zoo.__version__] in lines
    assert ["task", "sign", "stranger", "1.2.3"] in lines
    report = json.loads(run_zoo("plugins", "--json").stdout)
    notes = {"name": "observer.notes", "module": "tests.plugins.stranger", "plugin": "stranger 1.2.3"}
    assert notes in report["entry_points"]
    assert {"kind": "architecture", "name": "mgu", "plugin": "stranger 1.2.3"} in report["brings"]
    assert report["faults"] == []


def test_zoo_plugins_reports_every_fault_and_exits_with_6(install: Install) -> None:
    install(broken_points())
    outcome = run_zoo("plugins")
    assert outcome.exit_code == 6
    lines = outcome.stderr.splitlines()
    assert len(lines) == len(BROKEN)
    assert all(line.startswith("error: plugin ") for line in lines)
    assert "Traceback" not in outcome.stderr
    assert "lstm" in outcome.stdout
    outcome = run_zoo("plugins", "--json")
    assert outcome.exit_code == 6
    assert json.loads(outcome.stdout)["faults"] == [line.removeprefix("error: ") for line in lines]


def test_other_commands_warn_and_work(install: Install, tmp_path: Path) -> None:
    install(broken_points())
    spec = tmp_path / "s.yaml"
    spec.write_text(SMALLEST)
    for arguments in (("build", spec, "--dry-run"), ("schema",), ("list", "--long")):
        outcome = run_zoo(*arguments)
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.stdout
        lines = outcome.stderr.splitlines()
        assert len(lines) == len(BROKEN)
        assert all(line.startswith("warning: plugin ") and line.endswith(" (left out)") for line in lines)
    assert json.loads(run_zoo("schema", "--json").stdout)["schema"]


def test_a_spec_that_names_a_broken_plugin(install: Install, tmp_path: Path) -> None:
    """The warning gives the reason why the name is not known."""
    install({"abstract": "tests.plugins.broken.abstract"})
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.replace("mgu", "abstract"))
    outcome = run_zoo("build", spec, "--dry-run")
    assert outcome.exit_code == 3
    assert (
        "warning: plugin abstract (stranger 1.2.3, tests.plugins.broken.abstract): Abstract does not implement step"
        in outcome.stderr
    )
    assert "architecture.name: 'abstract' is not known" in outcome.stderr


def test_the_error_of_a_broken_exporter_gives_its_fault() -> None:
    registry = build_registry(points_of({"exporter.bad_name": "tests.plugins.broken.bad_name"}))
    with pytest.raises(zoo.PluginError, match="Outside needs a class attribute 'name'"):
        registry.exporter("bad_name")
    with pytest.raises(zoo.PluginError, match=r"^no installed plugin provides the exporter 'onnx'; see 'zoo plugins'$"):
        registry.exporter("onnx")


def test_an_exporter_whose_name_is_no_valid_flag(install: Install, tmp_path: Path) -> None:
    """In a new process, since the flags of ``zoo export`` are made when its module is imported."""
    install({"exporter.1st": "tests.plugins.stranger"})
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site-packages")}
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "export", "--help"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--onnx" in done.stdout


# a complete external plugin


def test_an_external_plugin_trains_and_its_observer_is_called(install: Install, tmp_path: Path) -> None:
    install({**stranger.ENTRY_POINTS, "observer.bad": "tests.plugins.broken.observer_raises"})
    stranger.NOTES.clear()
    spec, run = tmp_path / "s.yaml", tmp_path / "run"
    spec.write_text(SPEC)
    outcome = run_zoo("build", spec, "--out", run, "--set", "architecture.forget_bias=2", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr.count("warning: plugin observer.bad") == 1
    assert [note.epoch for note in stranger.NOTES] == [1, 2]
    config = json.loads((run / "config.json").read_text())
    assert (config["architecture"], config["task"]) == ("mgu", "sign")
    assert config["signature"]["labels"] == ["falling", "rising"]
    assert config["versions"]["stranger"] == "1.2.3"
    assert "forget_bias: 2.0" in (run / "spec.yaml").read_text()
    assert set(config["test"]) == {"accuracy", "loss"}


@pytest.mark.parametrize("architecture", ["mgu", "bimgu"])
def test_an_external_cell_learns(architecture: str, install: Install, tmp_path: Path) -> None:
    """A cell is enough for layers and training: rising and falling lines are classified without an error."""
    install(stranger.ENTRY_POINTS)
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.replace("mgu", architecture))
    overrides = ("training.epochs=30", "training.optimizer.name=adam", "training.optimizer.lr=0.1")
    arguments = [part for override in overrides for part in ("--set", override)]
    outcome = run_zoo("build", spec, "--out", tmp_path / "run", "--json", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["test"]["accuracy"] == 1.0


def test_the_options_of_an_external_plugin_are_in_the_schema(install: Install) -> None:
    install(stranger.ENTRY_POINTS)
    definitions = json.loads(run_zoo("schema", "--json").stdout)["schema"]["definitions"]
    assert definitions["mguConfig"]["properties"]["forget_bias"] == {
        "default": 1.0,
        "description": "Where the forget gate starts.",
        "title": "Forget Bias",
        "type": "number",
    }


def test_the_external_plugin_uses_only_public_names() -> None:
    source = (Path(__file__).parent / "stranger.py").read_text()
    assert "import zoo\n" in source
    assert "from zoo" not in source
    assert "tests.plugins.stranger" in sys.modules
