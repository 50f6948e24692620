"""Check Strimzi topics and users: they match the worker's needs, and users have no further permissions."""

from collections.abc import Iterator

from emotag_worker.kafka.properties import name_replay_group
from emotag_worker.kafka.topics import plan_topics
from emotag_worker.settings import Settings

from .environment import EnvironmentProblem, load_settings
from .manifests import Object, Tree

Permission = tuple[str, str, str, str]
"""Resource type, resource name, literal or prefix, operation."""


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield topics and permissions that do not match the workers."""
    topics: dict[str, list[tuple[str, Object]]] = {}
    for where, topic in tree.iterate_kind("KafkaTopic"):
        topics.setdefault(topic["spec"].get("topicName") or topic["metadata"]["name"], []).append((where, topic))
    for workload in tree.iterate_workloads():
        try:
            settings = load_settings(workload)
        except EnvironmentProblem:
            continue  # reported by the check of settings
        for wanted in plan_topics(settings, partitions=1, replication=1):
            if wanted.topic not in topics:
                yield f"{workload.where}: KafkaTopic {wanted.topic} is missing"
            least = int((wanted.config or {})["max.message.bytes"])
            for where, topic in topics.get(wanted.topic, []):
                if int(topic["spec"].get("config", {}).get("max.message.bytes", 0)) < least:
                    yield f"{where}: max.message.bytes is below {least}, the largest message of {workload.where}"
        # Other groups have other users.
        users = [(where, _read_permissions(user)) for where, user in tree.iterate_kind("KafkaUser")]
        serving = [(where, given) for where, given in users if _has_group(given, settings.kafka.group_id)]
        # A user for operators only does not count.
        if all(_has_group(given, name_replay_group(settings)) for _, given in serving):
            yield f"{workload.where}: no KafkaUser may read with the group {settings.kafka.group_id}"
        for where, given in serving:
            needed = _list_worker_needs(settings)
            if _has_group(given, name_replay_group(settings)):
                needed |= _list_operator_needs(settings)
            for what in sorted(needed - given):
                yield f"{where}: {workload.where} needs {' '.join(what)}"
            for what in sorted(given - needed):
                yield f"{where}: {workload.where} does not need {' '.join(what)}"


def _read_permissions(user: Object) -> set[Permission]:
    return {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"].get("patternType", "literal"), operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def _has_group(given: set[Permission], group: str) -> bool:
    return any((kind, name) == ("group", group) for kind, name, _, _ in given)


def _list_operator_needs(settings: Settings) -> set[Permission]:
    """Return the permissions that `emotag dlq` needs in addition."""
    return {
        ("topic", settings.input.topic, "literal", "Write"),
        ("topic", settings.dlq.topic, "literal", "Read"),
        ("group", name_replay_group(settings), "literal", "Read"),
    }


def _list_worker_needs(settings: Settings) -> set[Permission]:
    """Return the permissions of docs/security.md. Tests with a real broker prove that they suffice."""
    group = settings.kafka.group_id
    needed = {
        ("topic", settings.input.topic, "literal", "Read"),
        ("topic", settings.output.topic, "literal", "Write"),
        ("topic", settings.dlq.topic, "literal", "Write"),
        # Optional: without them, tombstones are dead-lettered, and no warning about short retention is logged.
        ("topic", settings.output.topic, "literal", "DescribeConfigs"),
        ("topic", settings.dlq.topic, "literal", "DescribeConfigs"),
        ("group", group, "literal", "Read"),
    }
    return needed | (
        {("transactionalId", f"{group}-", "prefix", "Write")} if settings.delivery == "exactly_once" else set()
    )
