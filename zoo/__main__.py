"""``python -m zoo``, which is also what ``torchrun -m zoo`` runs."""

from zoo.cli.main import main

main()
