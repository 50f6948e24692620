"""A container's environment, held against what the worker takes: names, values, and librdkafka's properties."""

import os
import re
from collections.abc import Iterator, Mapping
from unittest import mock

from confluent_kafka import Consumer, KafkaException, Producer

from worker import properties, settings
from worker.settings import PREFIX, Settings, SettingsProblem

from .manifests import Object, Tree, Workload

FROM_OUTSIDE = {"EMOTAG_CACHE__URL": "redis://cache:6379/0"}
"""What a Secret would hold, where it has to have a form; everything else of one is taken for `secret`."""


class EnvironmentProblem(Exception):
    """Variables that the worker would not start with."""


def problems(tree: Tree) -> Iterator[str]:
    """What the worker would say of the environment of any workload of *tree*."""
    for workload in tree.workloads():
        try:
            settings_of(workload)
        except EnvironmentProblem as error:
            yield f"{workload.where}: {error}"


def settings_of(workload: Workload) -> Settings:
    """The settings that the worker in *workload* runs with.

    Raises:
        EnvironmentProblem: it would not run, or a variable looks like a setting and is none.
    """
    variables = environment(workload)
    # `worker.settings` passes over names like those that Kubernetes adds for Services; here nothing was added.
    strangers = [name for name in variables if name.startswith(PREFIX) and not _is_setting(name)]
    if strangers:
        near = settings.unknown_variables(dict.fromkeys(strangers, ""))
        raise EnvironmentProblem("; ".join(near) or f"{', '.join(strangers)}: not a setting")
    with mock.patch.dict(os.environ, variables, clear=True):
        try:
            read = settings.load()
            _try_clients(read)
        except SettingsProblem as error:
            raise EnvironmentProblem(str(error)) from error
    return read


def environment(workload: Workload) -> dict[str, str]:
    """The variables of a workload's first container, as Kubernetes would set them; secrets are made up.

    Raises:
        EnvironmentProblem: a ConfigMap that it names is not among what is applied with it.
    """
    container = workload.pod["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= _config_map(source["configMapRef"], workload.beside)
    for variable in container.get("env", []):
        value = _value(variable, workload.beside)
        found[variable["name"]] = re.sub(r"\$\(([^)]+)\)", lambda name: found.get(name[1], name[0]), value)
    return found


def _value(variable: Object, beside: list[Object]) -> str:
    if "valueFrom" not in variable:
        return str(variable.get("value", ""))
    source = variable["valueFrom"]
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        return _config_map(reference, beside).get(reference["key"], "")
    if "fieldRef" in source:
        return "emotag-0"  # its own name, for one
    return FROM_OUTSIDE.get(variable["name"], "secret")


def _config_map(reference: Object, beside: list[Object]) -> Mapping[str, str]:
    for each in beside:
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == reference["name"]:
            data: Mapping[str, str] = each.get("data", {})
            return data
    if reference.get("optional"):
        return {}
    raise EnvironmentProblem(f"no ConfigMap {reference['name']} is applied with it")


def _is_setting(name: str) -> bool:
    return name in settings.variables() or name.startswith(f"{PREFIX}KAFKA__PROPERTIES__")


def _try_clients(read: Settings) -> None:
    """Build what the worker would, without brokers or files: librdkafka says which properties it does not know."""
    for kind, given in (
        (Consumer, properties.consumer_properties(read)),
        (Producer, properties.producer_properties(read)),
    ):
        # Without brokers nobody is connected to; files with keys are where the pods run.
        here = {name: value for name, value in given.items() if name != "bootstrap.servers" and ".location" not in name}
        try:
            client = kind(here)
        except KafkaException as error:
            raise SettingsProblem(f"kafka.properties: {error.args[0].str()}") from error
        if isinstance(client, Consumer):
            client.close()
