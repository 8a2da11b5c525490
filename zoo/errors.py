"""Every error that Recurrent Zoo raises on purpose, and the exit code that the command line gives it.

::

    ZooError                     1    anything below; the text is one line for a person
    ├── UsageError               2    the command was called wrongly
    ├── SpecError                3    a spec is invalid; holds every fault at once
    ├── DataError                1    a data file cannot be read as what it claims to be
    ├── RunError                 1    a run directory lacks something or was altered
    ├── TrainingError            1    training cannot go on (a loss that is not finite)
    ├── ExportError              1    a model has a part that the exporter cannot express
    ├── ParityError              4    an exported graph does not compute what its model computes
    ├── ProviderUnavailable      5    an execution provider was required and cannot run here
    ├── PluginError              6    a plugin is broken and the command cannot do without it
    │   └── CellError            6    a cell does not keep the contract of `zoo.Cell`
    └── Interrupted        130/143    a signal stopped the work after it was saved
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import ClassVar


class ZooError(Exception):
    """Base of all errors meant for the user. ``str(error)`` states what is wrong, where, and what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(ZooError):
    """An option, argument or combination of them is invalid."""

    exit_code = 2


class SpecError(ZooError):
    """A spec is wrong. ``faults`` holds one line for each fault, in the order of the file."""

    exit_code = 3

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class DataError(ZooError):
    """A data file or an array does not have the required format or values."""


class RunError(ZooError):
    """A run directory or one of its files is missing, altered or unusable."""


class TrainingError(ZooError):
    """Training cannot continue, for example after a loss that is not finite."""


class ExportError(ZooError):
    """A part of the model has no ONNX form that the exporter can write."""


class ParityError(ZooError):
    """The proof of an exported file did not pass."""

    exit_code = 4


class ProviderUnavailable(ZooError):  # noqa: N818  (describes a state, not a mistake)
    """The libraries or the device of an execution provider are missing."""

    exit_code = 5


class PluginError(ZooError):
    """A required plugin cannot be loaded or registered."""

    exit_code = 6


class CellError(PluginError):
    """A cell violates the contract of `zoo.Cell`: shapes, dtypes, state or gradients."""


class Interrupted(ZooError):  # noqa: N818  (not a mistake)
    """A signal arrived and the work was saved. The process leaves with 128 + the signal's number."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def process_exit_code(self) -> int:
        """Exit code of the process: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + int(signal.Signals(self.signal_number))
