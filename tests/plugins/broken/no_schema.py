"""A Config with a field that neither YAML nor JSON Schema can represent."""

from collections.abc import Callable

import zoo
from tests.plugins.stranger import Sign


class NoSchema(Sign):
    name = "no_schema"

    class Config(zoo.Config):
        weigh: Callable[[float], float]


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [NoSchema]
