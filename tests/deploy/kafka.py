"""Topics and users, as Strimzi makes them: they are what the worker needs, and its group's user may do no more."""

from collections.abc import Iterator

from worker.properties import replay_group
from worker.settings import Settings
from worker.topics import planned

from .environment import EnvironmentProblem, settings_of
from .manifests import Object, Tree

Permission = tuple[str, str, str, str]
"""Type of resource, its name, literal or prefix, operation."""


def problems(tree: Tree) -> Iterator[str]:
    """Where topics or permissions of *tree* are not the workers' own."""
    topics: dict[str, list[tuple[str, Object]]] = {}
    for where, topic in tree.of_kind("KafkaTopic"):
        topics.setdefault(topic["spec"].get("topicName") or topic["metadata"]["name"], []).append((where, topic))
    for workload in tree.workloads():
        try:
            settings = settings_of(workload)
        except EnvironmentProblem:
            continue  # said where the environment is looked at
        for wanted in planned(settings, partitions=1, replication=1):
            if wanted.topic not in topics:
                yield f"{workload.where}: no KafkaTopic is called {wanted.topic}"
            least = int((wanted.config or {})["max.message.bytes"])
            for where, topic in topics.get(wanted.topic, []):
                if int(topic["spec"].get("config", {}).get("max.message.bytes", 0)) < least:
                    yield f"{where}: max.message.bytes is below {least}, which {workload.where} may write or read"
        # Other groups have users of their own.
        users = [(where, _given(user)) for where, user in tree.of_kind("KafkaUser")]
        serving = [(where, given) for where, given in users if _names(given, settings.kafka.group_id)]
        if all(_names(given, replay_group(settings)) for _, given in serving):  # an operator's alone is none
            yield f"{workload.where}: no KafkaUser may read as the group {settings.kafka.group_id}"
        for where, given in serving:
            needed = _needed(settings)
            if _names(given, replay_group(settings)):
                needed |= _operators(settings)
            for what in sorted(needed - given):
                yield f"{where}: {workload.where} needs {' '.join(what)}"
            for what in sorted(given - needed):
                yield f"{where}: {workload.where} does not need {' '.join(what)}"


def _given(user: Object) -> set[Permission]:
    return {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"].get("patternType", "literal"), operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def _names(given: set[Permission], group: str) -> bool:
    return any((kind, name) == ("group", group) for kind, name, _, _ in given)


def _operators(settings: Settings) -> set[Permission]:
    """What `emotag dlq` needs besides."""
    return {
        ("topic", settings.input.topic, "literal", "Write"),
        ("topic", settings.dlq.topic, "literal", "Read"),
        ("group", replay_group(settings), "literal", "Read"),
    }


def _needed(settings: Settings) -> set[Permission]:
    """As docs/security.md lists it, where tests of a real broker hold it to be enough."""
    group = settings.kafka.group_id
    needed = {
        ("topic", settings.input.topic, "literal", "Read"),
        ("topic", settings.output.topic, "literal", "Write"),
        ("topic", settings.dlq.topic, "literal", "Write"),
        ("group", group, "literal", "Read"),
    }
    return needed | (
        {("transactionalId", f"{group}-", "prefix", "Write")} if settings.delivery == "exactly_once" else set()
    )
