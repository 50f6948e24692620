"""Check the environment of containers against the worker's settings and librdkafka's properties."""

import os
import re
from collections.abc import Iterator, Mapping
from unittest import mock

from confluent_kafka import Consumer, KafkaException, Producer

from emotag_worker.errors import SettingsError
from emotag_worker.kafka import properties
from emotag_worker.settings import PREFIX, Settings, loader
from emotag_worker.settings.reference import list_settings

from .manifests import Object, Tree, Workload

FROM_OUTSIDE = {"EMOTAG_CACHE__URL": "redis://cache:6379/0"}
"""Values of Secrets that must have a certain form. All other values of Secrets are assumed to be `secret`."""


class EnvironmentProblem(Exception):
    """Variables with which the worker would not start."""


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield the errors with which the worker would reject the environment of a workload."""
    for workload in tree.iterate_workloads():
        try:
            load_settings(workload)
        except EnvironmentProblem as error:
            yield f"{workload.where}: {error}"


def load_settings(workload: Workload) -> Settings:
    """Return the settings of the worker in *workload*.

    Raises:
        EnvironmentProblem: the worker would not start, or a variable looks like a setting but is not one.
    """
    variables = read_environment(workload)
    # The worker ignores names like those that Kubernetes adds for Services. Here, nothing was added.
    unknown = [name for name in variables if name.startswith(PREFIX) and not _is_setting(name)]
    if unknown:
        near = loader.find_unknown_variables(dict.fromkeys(unknown, ""))
        raise EnvironmentProblem("; ".join(near) or f"{', '.join(unknown)}: unknown setting")
    with mock.patch.dict(os.environ, variables, clear=True):
        try:
            read = loader.load()
            _try_clients(read)
        except SettingsError as error:
            raise EnvironmentProblem(str(error)) from error
    return read


def read_environment(workload: Workload) -> dict[str, str]:
    """Return the variables of a workload's first container, as Kubernetes would set them, with invented secrets.

    Raises:
        EnvironmentProblem: a ConfigMap that the container references is not applied with the workload.
    """
    container = workload.pod["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= _find_config_map(source["configMapRef"], workload.siblings)
    for variable in container.get("env", []):
        value = _read_value(variable, workload.siblings)
        found[variable["name"]] = re.sub(r"\$\(([^)]+)\)", lambda name: found.get(name[1], name[0]), value)
    return found


def _read_value(variable: Object, siblings: list[Object]) -> str:
    if "valueFrom" not in variable:
        return str(variable.get("value", ""))
    source = variable["valueFrom"]
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        return _find_config_map(reference, siblings).get(reference["key"], "")
    if "fieldRef" in source:
        return "emotag-0"  # for example the pod's own name
    return FROM_OUTSIDE.get(variable["name"], "secret")


def _find_config_map(reference: Object, siblings: list[Object]) -> Mapping[str, str]:
    for each in siblings:
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == reference["name"]:
            data: Mapping[str, str] = each.get("data", {})
            return data
    if reference.get("optional"):
        return {}
    raise EnvironmentProblem(f"ConfigMap {reference['name']} is missing")


def _is_setting(name: str) -> bool:
    return name in list_settings() or name.startswith(f"{PREFIX}KAFKA__PROPERTIES__")


def _try_clients(read: Settings) -> None:
    """Create the worker's Kafka clients without brokers or files: librdkafka rejects unknown properties."""
    for kind, given in (
        (Consumer, properties.build_consumer_properties(read)),
        (Producer, properties.build_producer_properties(read)),
    ):
        # Without brokers, no client connects. Files with keys exist only in the pods.
        here = {name: value for name, value in given.items() if name != "bootstrap.servers" and ".location" not in name}
        try:
            client = kind(here)
        except KafkaException as error:
            raise SettingsError(f"kafka.properties: {error.args[0].str()}") from error
        if isinstance(client, Consumer):
            client.close()
