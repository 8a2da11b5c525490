"""An exporter whose name would lead out of the run's folder."""

import zoo
from tests.plugins.stranger import Text


class Outside(Text):
    name = "../outside"


@zoo.hookimpl
def zoo_register_exporters() -> list[type[zoo.Exporter]]:
    return [Outside]
