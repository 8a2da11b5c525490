"""`zoo sample`: text from a language model, through ONNX Runtime and through torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from tests.support.command import Outcome, run_zoo
from tests.support.runs import build_run
from zoo.jobs.sample import LanguageModel, draw, onnx_model, sample
from zoo.jobs.sample_torch import torch_model
from zoo.plugins.registry import load_registry
from zoo.run.run import Run

TEXT = "abba cd.\n" * 60
SPEC = """
data: {{name: characters, file: {file}, window: 16, predict: {predict}}}
architecture: {{name: {architecture}, hidden_size: 12, num_layers: 2{more}}}
task: {{name: {task}}}
training: {{epochs: 2}}
"""


def build(folder: Path, name: str, task: str = "language_modelling", predict: str = "next", more: str = "") -> Path:
    """Train a small run on a small text and return its folder."""
    (folder / "text.txt").write_text(TEXT)
    file, spec, run = folder / "text.txt", folder / f"{name}.yaml", folder / f"{name}-run"
    architecture = name.partition("-")[0]
    spec.write_text(SPEC.format(file=file, predict=predict, architecture=architecture, task=task, more=more))
    outcome = run_zoo("build", spec, "--out", run, "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = build(tmp_path_factory.mktemp("runs"), "lstm")
    outcome = run_zoo("export", run, "--onnx", "--streaming", "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    return run


def stand_in(vocabulary: str | Sequence[str], labels: Sequence[str], scores: Sequence[float]) -> LanguageModel:
    """Return a model that always gives the same scores."""
    signature = zoo.Signature(vocabulary=tuple(vocabulary), tokenizer="characters", labels=tuple(labels), by_step=True)
    return LanguageModel(signature, lambda _: np.array(scores, np.float32))


def write(model: LanguageModel, prompt: str = "", length: int = 20, temperature: float = 1.0, seed: int = 1) -> str:
    return "".join(sample(model, prompt, length=length, temperature=temperature, seed=seed))


# --- the draws ------------------------------------------------------------------------------------------------------


def test_characters_have_the_frequencies_of_the_softmax() -> None:
    """The counts of 4,000 draws lie within five standard deviations of 4,000 p; chance fails this 1 time in 10^6."""
    logs = np.log([0.5, 0.3, 0.2]).tolist()
    for temperature, shares in ((1.0, np.array([0.5, 0.3, 0.2])), (0.5, np.array([0.25, 0.09, 0.04]) / 0.38)):
        text = write(stand_in("abc", "abc", logs), length=4000, temperature=temperature)
        for character, share in zip("abc", shares, strict=True):
            assert abs(text.count(character) - 4000 * share) < 5 * np.sqrt(4000 * share * (1 - share))


def test_temperature_zero_takes_the_most_probable() -> None:
    for temperature in (0.0, 1e-300):
        for seed in range(3):
            assert write(stand_in("abc", "abc", [1, 3, 2]), temperature=temperature, seed=seed) == "b" * 20


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_marks_are_never_generated(temperature: float) -> None:
    """Marks are left out at any probability, and so is a label that is not in the vocabulary."""
    model = stand_in(["a", "b", "<unk>", "<mask>"], ["a", "<unk>", "b", "<mask>", "z"], [1, 50, 2, 50, 50])
    assert set(write(model, temperature=temperature, length=100)) <= {"a", "b"}


def test_random_numbers_at_the_bounds() -> None:
    class Fixed(np.random.Generator):
        def __init__(self, value: float) -> None:
            super().__init__(np.random.PCG64(0))
            self.value = value

        def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
            return self.value

    scores = np.array([-np.inf, 0.0, -np.inf, 0.0, -np.inf])
    for value, expected in ((0.0, 1), (0.4999, 1), (0.5, 3), (1 - 2.0**-53, 3), (1.0, 3)):
        assert draw(scores, 1.0, Fixed(value)) == expected


def test_scores_that_are_not_finite() -> None:
    with pytest.raises(zoo.RunError, match="the model's scores are not finite"):
        write(stand_in("ab", "ab", [0, float("nan")]))


def test_seeds() -> None:
    model = stand_in("abc", "abc", [0, 0, 0])
    assert write(model, seed=1) == write(model, seed=1) != write(model, seed=2)


# --- the start of the text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocabulary", "prompt", "expected"),
    [
        (["a", "\n", "b"], "", [1]),
        (["<unk>", "a", "b"], "", [1]),
        (["a", "b", "c"], "cab", [2, 0, 1]),
        (["a", "b", "<unk>"], "a?b", [0, 2, 1]),
    ],
)
def test_the_model_reads_the_prompt(vocabulary: list[str], prompt: str, expected: list[int]) -> None:
    """It reads the tokens of the prompt one by one, and then its own characters."""
    read: list[int] = []

    def step(token: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        read.append(token)
        return np.array([0 if label == "a" else -1 for label in vocabulary], np.float32)

    signature = zoo.Signature(
        vocabulary=tuple(vocabulary), tokenizer="characters", labels=tuple(vocabulary), by_step=True
    )
    assert write(LanguageModel(signature, step), prompt, length=3, temperature=0) == "aaa"
    assert read == [*expected, vocabulary.index("a"), vocabulary.index("a")]


# --- onnx and torch -------------------------------------------------------------------------------------------------


def test_both_ways_write_the_same(exported: Path) -> None:
    """At bounds that differ by 1e-6 the texts of 600 characters differ with a probability of about 1 in 200."""
    for prompt, seed, temperature in (("", 1, 0.8), ("abba", 2, 1.5), ("cd", 3, 0.0)):
        models = onnx_model(exported), torch_model(Run(exported), load_registry())
        texts = {write(model, prompt, length=600, temperature=temperature, seed=seed) for model in models}
        assert len(texts) == 1


def test_states_are_kept_between_steps(exported: Path) -> None:
    """The scores of each step equal those of the model for the whole text at once."""
    run = Run(exported)
    _, task, model = run.load(load_registry())
    ids = {character: number for number, character in enumerate(task.signature.vocabulary)}
    tokens = [ids[character] for character in "abba cd.\nab"]
    with torch.inference_mode():
        whole = model(torch.tensor([tokens]))[0].numpy()
    for stepper in (onnx_model(exported), torch_model(run, load_registry())):
        scores = np.array([stepper.step(token) for token in tokens])
        assert np.abs(scores - whole).max() < 1e-5 < np.abs(scores[9] - scores[0]).max()


def test_command(exported: Path) -> None:
    """stdout contains only the prompt and the text; stderr names the runtime and the option for the other one."""
    outcomes = [run_zoo("sample", exported, "--prompt", "ab", "--length", 50, *more) for more in ([], ["--seed", 1])]
    assert outcomes[0] == outcomes[1]
    outcome = outcomes[0]
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("ab")
    assert len(outcome.stdout) == 52
    assert set(outcome.stdout) <= set(TEXT)
    file = exported / "onnx" / "model.stream.onnx"
    assert outcome.stderr == f"through ONNX Runtime, from {file}; --through torch takes torch\n"
    other = run_zoo("sample", exported, "--prompt", "ab", "--length", 50, "--through", "torch")
    assert (other.stdout, other.stderr) == (outcome.stdout, "through torch; --through onnx takes ONNX Runtime\n")
    assert len(run_zoo("sample", exported).stdout) == 400


def test_command_as_json(exported: Path) -> None:
    outcome = run_zoo("sample", exported, "--prompt", "ab", "--length", 50, "--temperature", 0.5, "--json")
    report = json.loads(outcome.stdout)
    text = report.pop("text")
    assert report == {"schema_version": 1, "prompt": "ab", "temperature": 0.5, "seed": 1, "through": "onnx"}
    plain = run_zoo("sample", exported, "--prompt", "ab", "--length", 50, "--temperature", 0.5)
    assert plain.stdout == "ab" + text


def test_without_an_exported_file_torch_is_used(exported: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(exported, tmp_path / "run"))
    (run / "onnx" / "model.stream.onnx").unlink()
    outcome = run_zoo("sample", run, "--length", 50)
    assert outcome.stdout == run_zoo("sample", exported, "--length", 50).stdout
    assert outcome.stderr == (
        f"through torch; 'zoo export --onnx --streaming {run}' and --through onnx takes ONNX Runtime\n"
    )
    assert_error(
        run_zoo("sample", run, "--through", "onnx"),
        f"{run}: has no onnx/model.stream.onnx; 'zoo export --onnx --streaming {run}' makes it; or add --through torch",
    )


def test_no_torch_is_imported(exported: Path) -> None:
    code = "import sys, zoo.cli.main as m; m.cli(standalone_mode=False); sys.exit(10 * ('torch' in sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", code, "sample", str(exported)], capture_output=True, text=True)
    assert (outcome.returncode, len(outcome.stdout)) == (0, 400)


# --- errors ---------------------------------------------------------------------------------------------------------


def assert_error(outcome: Outcome, line: str, exit_code: int = 1) -> None:
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (exit_code, "", f"error: {line}\n")


@pytest.mark.parametrize("through", ["onnx", "torch"])
def test_an_unknown_character_in_the_prompt(exported: Path, through: str) -> None:
    assert_error(
        run_zoo("sample", exported, "--prompt", "abé", "--through", through),
        "--prompt:3: 'é' is not in the vocabulary of the model; replace it or leave it out",
    )


@pytest.mark.parametrize("temperature", [-0.1, "nan", "inf"])
def test_invalid_temperatures(exported: Path, temperature: object) -> None:
    assert_error(
        run_zoo("sample", exported, "--temperature", temperature),
        f"--temperature {temperature}: must be 0 or more; 0 takes the most probable character",
        2,
    )


def test_models_that_generate_no_text(tmp_path: Path) -> None:
    """A classifier, and a task that predicts masked characters; each in torch and in ONNX Runtime."""
    digits = build_run(tmp_path, "lstm", "training.epochs=1")
    masked = build(tmp_path, "gru-masked", "tagging", "masked")
    for run, task in ((digits, "classification"), (masked, "tagging of characters")):
        line = (
            f"{run}: is a model for {task}, which generates no text; name a run with task.name=language_modelling on "
            "data.name=characters"
        )
        assert_error(run_zoo("sample", run), line)
        assert run_zoo("export", run, "--onnx", "--streaming", "--provider", "cpu").exit_code == 0
        assert_error(run_zoo("sample", run), line)


def test_a_model_that_reads_backward(tmp_path: Path) -> None:
    run = build(tmp_path, "rnn-backward", more=", direction: bidirectional")
    assert_error(
        run_zoo("sample", run),
        f"{run}: is a bidirectional model, which needs the whole text at every step; name a run of direction forward",
    )


def test_no_run(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert_error(run_zoo("sample", nowhere), f"{nowhere}: is not a run; 'zoo build SPEC' makes one")
