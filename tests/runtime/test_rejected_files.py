"""Files that `OnnxModel` rejects: altered, incomplete, unproven, or dependent on other files or libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import pytest

import zoo
from tests.runtime.verified import error_of
from tests.support.files import foreign_file, rewrite, write_verified
from tests.support.models import draw, make_model, write
from zoo.runtime import OnnxModel


def refused(path: Path) -> str:
    line = error_of(zoo.RunError, lambda: OnnxModel(path))
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "does not exist; 'zoo export --onnx' makes it"
    assert refused(tmp_path / "model.onnx") == "does not exist; 'zoo export --onnx' makes it"


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"])
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refused(path).startswith("is not an ONNX file, or only a part of one (")


def test_a_file_of_another_program(tmp_path: Path) -> None:
    path = foreign_file(tmp_path / "foreign.onnx")
    assert refused(path) == (
        "carries no seal, so Recurrent Zoo did not write it, or an older version did; export the run again"
    )


def proven(path: Path, entry: str) -> Path:
    """Add a metadata entry for the proof to a file."""
    file = onnx.load(path)
    file.metadata_props.append(onnx.StringStringEntryProto(key="parity", value=entry))
    return rewrite(path, file)


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        ('{"verdict": "failed"}', "failed"),
        ('{"verdict": "ill-conditioned"}', "ill-conditioned"),
        ('{"verdict": 1}', "unreadable"),
        ("[]", "unreadable"),
        ("passed", "unreadable"),
    ],
)
def test_a_file_that_did_not_pass_its_proof(entry: str, verdict: str, tmp_path: Path) -> None:
    path = proven(write_verified(make_model("lstm"), tmp_path), entry)
    assert refused(path) == (
        f"did not pass its proof, whose verdict is {verdict!r}; take a file that passed, look into this one with 'zoo "
        "bisect', or use it anyway with allow_unproven=True or 'zoo predict --rejected'"
    )
    assert len(OnnxModel(path, allow_unproven=True).predict(draw(2, 3))) == 2


def test_a_file_that_passed_its_proof(tmp_path: Path) -> None:
    OnnxModel(proven(write_verified(make_model("lstm"), tmp_path), '{"verdict": "passed"}'))


def test_bytes_that_look_like_a_flatbuffer_of_onnx_runtime(tmp_path: Path) -> None:
    """``ORTM`` in bytes 4 to 7, from 0, makes ONNX Runtime read its flatbuffer format, which no check here parses.

    The file begins with a field for the producer's name, which a later field of that number overrides.
    """
    path = write_verified(make_model("lstm"), tmp_path)
    plain = path.read_bytes()
    path.write_bytes(zoo.seal_onnx(b"\x12\x06..ORTM" + plain, {}))
    assert path.read_bytes()[4:8] == b"ORTM"
    predictions = OnnxModel(path).predict(draw(2, 3))
    path.write_bytes(plain)
    assert predictions == OnnxModel(path).predict(draw(2, 3))


def head_weight(file: onnx.ModelProto) -> Any:
    return next(tensor for tensor in file.graph.initializer if tensor.name == "head/weight")


def weights(file: onnx.ModelProto) -> None:
    tensor = head_weight(file)
    tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]


def graph(file: onnx.ModelProto) -> None:
    file.graph.node[-1].attribute[0].i = 0


def entry(name: str, old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    def change(file: onnx.ModelProto) -> None:
        (item,) = [item for item in file.metadata_props if item.key == name]
        assert old in item.value
        item.value = item.value.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    "change",
    [
        weights,
        graph,
        entry("signature", "label 3", "label 8"),
        entry("golden_logits", "A", "B"),
        entry("opset", "2", "3"),
    ],
    ids=["weights", "graph", "labels", "golden output", "opset"],
)
def test_a_file_that_was_altered(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    path = write_verified(make_model("lstm"), tmp_path)
    file = onnx.load(path)
    change(file)
    onnx.save(file, path)
    assert refused(path) == (
        "was altered since it was exported: its hash does not match; take the original file, or export the run again"
    )


def test_a_file_that_another_program_saved(tmp_path: Path) -> None:
    """onnx preserves the bytes; onnx-ir sorts the metadata, so that the seal is no longer at the end."""
    path = write_verified(make_model("lstm"), tmp_path)
    onnx.save(onnx.load(path), path)
    OnnxModel(path)
    ir.save(ir.load(path), path)
    assert refused(path) == (
        "was altered since it was exported, or another program saved it again: its seal is not at its end; take the "
        "original file, or export the run again"
    )


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("location", ["w.bin", "../w.bin"])
def test_weights_in_another_file_are_never_read(link: bool, location: str, tmp_path: Path) -> None:
    """In the same folder, outside it, or through a link. The other file is not opened."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = write_verified(make_model("lstm"), folder)
    file = onnx.load(path)
    onnx.external_data_helper.convert_model_to_external_data(file, location="w.bin", size_threshold=0)
    onnx.save(file, path)
    other = folder / location
    other.unlink(missing_ok=True)
    if link:
        other.symlink_to("/dev/zero")  # reading it would never end
    file = onnx.load(path, load_external_data=False)
    for tensor in file.graph.initializer:
        for item in tensor.external_data:
            if item.key == "location":
                item.value = location
    rewrite(path, file)
    assert refused(path).endswith(
        "in another file, which is not read; export it into one file, as torch.onnx.export does with "
        "external_data=False"
    )


def test_an_operator_of_a_custom_library(tmp_path: Path) -> None:
    path = foreign_file(tmp_path / "custom.onnx", "Mine", "my.ops")
    assert refused(path) == (
        "has the operator my.ops.Mine, which only a library of custom operators provides, and none is loaded; "
        "export the run again"
    )


@pytest.mark.parametrize("streaming", [False, True])
def test_wrong_golden_outputs(streaming: bool, tmp_path: Path) -> None:
    """A weight is changed under a valid seal, as if the machine computed the model wrongly."""
    path = write_verified(make_model("lstm", pooling=None), tmp_path, streaming=streaming)
    file = onnx.load(path)
    tensor = head_weight(file)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0] += 1e-3
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    line = refused(rewrite(path, file))
    assert line.startswith("does not give its golden output on this machine: logits: error ")
    assert line.endswith(
        " times its budget; 'zoo check' shows where it differs; take another provider or another ONNX Runtime"
    )


@pytest.mark.parametrize("name", ["golden_input", "golden_logits", "golden_logits_sensitivity", "signature"])
def test_a_file_without_an_entry_that_zoo_writes(name: str, tmp_path: Path) -> None:
    path = write_verified(make_model("lstm"), tmp_path)
    file = onnx.load(path)
    file.metadata_props.remove(next(item for item in file.metadata_props if item.key == name))
    what = "signature" if name == "signature" else "golden input and output"
    assert refused(rewrite(path, file)) == (
        f"carries no {what}, so 'zoo export' did not write it; export the run again"
    )
    assert "carries no signature" in refused(write(make_model("lstm"), tmp_path))
