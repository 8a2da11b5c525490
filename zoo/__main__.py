"""Entry point of ``python -m zoo`` and of ``torchrun -m zoo``."""

from zoo.cli.main import main

main()
