"""An observer that fails at the first epoch."""

import zoo

CALLS: list[int] = []


@zoo.hookimpl
def zoo_after_epoch(record: zoo.EpochRecord) -> None:
    CALLS.append(record.epoch)
    raise ConnectionError("no route to host")
