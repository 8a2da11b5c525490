"""Small recordings in every form that the data source ``recordings`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.recordings import RecordingsSource

Values = NDArray[np.float64]


def load(**fields: Any) -> zoo.Dataset:
    return RecordingsSource().load(RecordingsSource.Config(**fields))


def recordings(count: int = 12, features: int = 2, longest: int = 6) -> list[Values]:
    """Return different recordings (time, features) of 3 to ``longest`` steps; the first feature names the recording."""
    random = np.random.RandomState(1)
    values = [random.randint(0, 9, (3 + number % (longest - 2), features)) / 2 for number in range(count)]
    for number, steps in enumerate(values):
        steps[:, 0] = number
    return values


def labels(count: int = 12) -> list[str]:
    return [("run", "sit", "walk")[number % 3] for number in range(count)]


def subjects(count: int = 12) -> list[str]:
    return [f"s{number // 2}" for number in range(count)]


def table(values: Sequence[Values], names: Sequence[str] | None = None) -> str:
    """Return CSV with the columns id, who, what and a feature each."""
    count = len(values)
    names = names or [f"r{number}" for number in range(count)]
    header = ",".join(["id", "who", "what", *(f"x{number}" for number in range(values[0].shape[1]))])
    rows = [
        ",".join([name, who, what, *map(str, step)])
        for name, who, what, steps in zip(names, subjects(count), labels(count), values, strict=True)
        for step in steps
    ]
    return "\n".join([header, *rows, ""])


def write_table(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    (folder / "all.csv").write_text(table(values))
    return {"file": str(folder / "all.csv"), "sequence": "id", "label": "what", "inputs": ("x0", "x1")}


def write_parquet(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    import polars

    (folder / "all.csv").write_text(table(values))
    polars.read_csv(folder / "all.csv").write_parquet(folder / "all.parquet")
    return {"file": str(folder / "all.parquet"), "sequence": "id", "label": "what", "inputs": ("x0", "x1")}


def write_npz(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    lengths = [len(steps) for steps in values]
    np.savez(folder / "all.npz", x=np.concatenate(values), lengths=lengths, y=labels(len(values)))
    return {"file": str(folder / "all.npz")}


def write_offsets(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    offsets = np.cumsum([0, *map(len, values)])[:-1]
    np.savez(folder / "all.npz", X=np.concatenate(values), offsets=offsets, Y=labels(len(values)))
    return {"file": str(folder / "all.npz")}


def write_padded(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    lengths = np.array([len(steps) for steps in values], np.int32)
    x = np.full((len(values), lengths.max(), values[0].shape[1]), np.nan)
    for row, steps in zip(x, values, strict=True):
        row[: len(steps)] = steps
    np.savez(folder / "all.npz", x=x, lengths=lengths, label=labels(len(values)))
    return {"file": str(folder / "all.npz")}


def write_folders(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    for number, (steps, label) in enumerate(zip(values, labels(len(values)), strict=True)):
        (folder / "all" / label).mkdir(parents=True, exist_ok=True)
        rows = [",".join(map(str, step)) for step in steps]
        names = ",".join(f"x{feature}" for feature in range(steps.shape[1]))
        (folder / "all" / label / f"{number:03}.csv").write_text("\n".join([names, *rows, ""]))
    return {"folder": str(folder / "all")}


def write_index(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    (folder / "all").mkdir()
    for number, steps in enumerate(values):
        np.save(folder / "all" / f"{number:03}.npy", steps)
    rows = [f"{number:03}.npy,{label},{number / 4}" for number, label in enumerate(labels(len(values)))]
    (folder / "all" / "index.csv").write_text("\n".join(["file,what,age", *rows, ""]))
    return {"folder": str(folder / "all"), "index": str(folder / "all" / "index.csv"), "label": "what"}


def ts_text(values: Sequence[Values], answers: Sequence[str], classes: str = "true run sit walk") -> str:
    head = f"@problemName Made\n@timeStamps false\n@univariate false\n@dimensions {values[0].shape[1]}\n"
    rows = [
        ":".join([*(",".join(map(str, column)) for column in steps.T), answer])
        for steps, answer in zip(values, answers, strict=True)
    ]
    return "\n".join([f"# made up\n{head}@equalLength false\n@classLabel {classes}\n@data", *rows, ""])


def write_ts(folder: Path, values: Sequence[Values]) -> dict[str, Any]:
    (folder / "all.ts").write_text(ts_text(values, labels(len(values))))
    return {"file": str(folder / "all.ts")}


FORMS = {
    "table": write_table,
    "parquet": write_parquet,
    "npz": write_npz,
    "offsets": write_offsets,
    "padded": write_padded,
    "folders": write_folders,
    "index": write_index,
    "ts": write_ts,
}
