"""The runs of `make book`: the specs of specs/book with their seeds and changes."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = (0, 1, 2, 3, 4, 5)
CELLS = ("rnn", "lstm", "gru")


@dataclass(frozen=True)
class Item:
    """One spec, built once for each seed."""

    spec: str
    seeds: tuple[int, ...] = (0,)
    settings: tuple[str, ...] = ()
    """Changes in the form of ``--set``."""
    variant: str = ""
    """Suffix of the run's name that stands for the changes."""
    streaming: bool = False
    """Whether to export and prove the streaming graph too."""

    def run(self, seed: int) -> str:
        """The name of the run's folder."""
        return f"{self.spec}{self.variant}-{seed}"


# The longest first, so that two parallel workers finish at about the same time.
ITEMS = (
    *(Item(f"mnist_{cell}_chapter") for cell in ("lstm", "gru")),
    *(Item(f"characters_{cell}", streaming=True) for cell in CELLS),
    Item("text_lstm_chapter"),
    Item("text_rnn_chapter"),
    *(
        Item(f"adding_{cell}", settings=(f"data.time={time}",), variant=f"-{time}")
        for time in (200, 100, 50)
        for cell in CELLS
    ),
    *(Item(f"mnist_{cell}") for cell in ("lstm", "gru")),
    Item("etth1_gru"),
    *(Item(f"text_{cell}", SEEDS[:3]) for cell in CELLS),
    *(Item(f"fill_{cell}_{direction}") for cell in CELLS for direction in ("forward", "bidirectional")),
    *(Item(f"sbux_{cell}", SEEDS) for cell in ("lstm", "gru", "bilstm")),
    *(Item(f"sbux_{cell}_honest") for cell in ("lstm", "gru", "bilstm")),
)
