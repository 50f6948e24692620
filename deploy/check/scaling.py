"""Check replicas and autoscaling: at most one replica per partition, and only keys that KEDA knows."""

from collections.abc import Iterator

from .environment import EnvironmentProblem, read_environment
from .manifests import Object, Tree, Workload

TRIGGER_KEYS = {
    "kafka": frozenset(
        {
            "bootstrapServers", "consumerGroup", "topic", "partitionLimitation", "lagThreshold",
            "activationLagThreshold", "offsetResetPolicy", "allowIdleConsumers", "excludePersistentLag",
            "scaleToZeroOnInvalidOffset", "limitToPartitionsWithLag", "ensureEvenDistributionOfPartitions",
            "version", "tls", "unsafeSsl", "sasl", "saslTokenProvider", "awsRegion",
        }
    ),
    "apache-kafka": frozenset(
        {
            "bootstrapServers", "consumerGroup", "topic", "partitionLimitation", "lagThreshold",
            "activationLagThreshold", "offsetResetPolicy", "allowIdleConsumers", "excludePersistentLag",
            "scaleToZeroOnInvalidOffset", "limitToPartitionsWithLag", "tls", "sasl", "awsRegion",
        }
    ),
}  # fmt: skip
"""Keys of a trigger's `metadata` by type, from the documentation of KEDA 2.17. The API server accepts any key, and KEDA
ignores unknown ones."""

FROM_ENVIRONMENT = ("bootstrapServers", "consumerGroup", "topic")
"""Keys that KEDA can read from the environment of the pods, with the suffix `FromEnv`."""

WORKER_VARIABLES = {
    "bootstrapServers": "EMOTAG_KAFKA__BOOTSTRAP_SERVERS",
    "consumerGroup": "EMOTAG_KAFKA__GROUP_ID",
    "topic": "EMOTAG_INPUT__TOPIC",
}


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield problems with replicas and triggers."""
    partitions = {
        str(topic["spec"].get("topicName") or topic["metadata"]["name"]): int(topic["spec"]["partitions"])
        for _, topic in tree.iterate_kind("KafkaTopic")
    }
    workloads = list(tree.iterate_workloads())
    for workload in workloads:
        topic = _find_input_topic(workload)
        if topic not in partitions:
            yield f"{workload.where}: input topic {topic} is not a topic in deploy/kubernetes"
        elif workload.object["spec"].get("replicas", 1) > partitions[topic]:
            yield f"{workload.where}: more replicas than the {partitions[topic]} partitions of {topic}"
    for where, scaled in tree.iterate_kind("ScaledObject"):
        overlay = where.partition(":")[0]
        target = scaled["spec"]["scaleTargetRef"]
        kind = f"{target.get('kind', 'Deployment')}/{target['name']}"
        found = [each for each in workloads if each.where == f"{overlay}: {kind}"]
        if not found:
            yield f"{where}: {kind} does not exist"
            continue
        for what in _check_scaled_object(scaled["spec"], found[0], partitions):
            yield f"{where}: {what}"


def _check_scaled_object(spec: Object, target: Workload, partitions: dict[str, int]) -> Iterator[str]:
    most, least = spec.get("maxReplicaCount", 100), spec.get("minReplicaCount", 0)
    topic, processes = _find_input_topic(target), _count_processes(target)
    if topic in partitions and most * processes > partitions[topic]:
        each = f" of {processes} processes" if processes > 1 else ""
        yield f"maxReplicaCount ({most}{each}) exceeds the {partitions[topic]} partitions of {topic}"
    if least > most:
        yield f"minReplicaCount ({least}) exceeds maxReplicaCount ({most})"
    if not spec.get("fallback"):
        yield "fallback is missing: KEDA cannot scale while the brokers are unreachable"
    elif spec["fallback"]["replicas"] > most:
        yield f"fallback.replicas ({spec['fallback']['replicas']}) exceeds maxReplicaCount ({most})"
    if "replicas" in target.object["spec"]:
        yield f"{target.where} sets replicas: each apply would override KEDA"
    for trigger in spec["triggers"]:
        yield from _check_trigger(trigger, read_environment(target))


def _check_trigger(trigger: Object, variables: dict[str, str]) -> Iterator[str]:
    known = TRIGGER_KEYS.get(trigger["type"])
    if known is None:
        yield f"trigger {trigger['type']} is not one of {', '.join(TRIGGER_KEYS)}"
        return
    metadata = trigger["metadata"]
    from_environment = {f"{name}FromEnv" for name in FROM_ENVIRONMENT}
    for key in metadata:
        if key not in known | from_environment:
            yield f"trigger {trigger['type']}: unknown key {key}"
    if metadata.get("excludePersistentLag", "false") != "false":
        yield (
            f"trigger {trigger['type']}: excludePersistentLag ignores partitions whose offset did not move between two "
            "polls. A worker reads the partitions of a backlog one after another, so the waiting ones would not count"
        )
    for name, variable in WORKER_VARIABLES.items():
        given = metadata.get(name) or variables.get(metadata.get(f"{name}FromEnv", ""))
        if given is None or given != variables.get(variable):
            yield f"trigger {trigger['type']}: {name} differs from the worker's {variable}"
    if "lagThreshold" not in metadata:
        yield f"trigger {trigger['type']}: lagThreshold is missing; KEDA's default is 10 records"


def _count_processes(workload: Workload) -> int:
    """Return the number of workers in a pod; 1 for `auto`, which depends on the node."""
    try:
        processes = read_environment(workload).get("EMOTAG_PROCESSES", "1")
    except EnvironmentProblem:
        return 1
    return int(processes) if processes.isdecimal() else 1


def _find_input_topic(workload: Workload) -> str:
    try:
        return read_environment(workload).get("EMOTAG_INPUT__TOPIC", "texts")
    except EnvironmentProblem:
        return ""
