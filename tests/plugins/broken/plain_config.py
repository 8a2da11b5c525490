"""A Config that is not a subclass of zoo.Config."""

import zoo
from tests.plugins.stranger import Waves


class PlainConfig(Waves):
    name = "plain_config"

    class Config:
        count = 3


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    return [PlainConfig]
