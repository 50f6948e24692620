"""Replicas and what decides how many there are: never more than partitions, and only by keys that KEDA knows."""

from collections.abc import Iterator

from .environment import EnvironmentProblem, environment
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
"""Keys of a trigger's `metadata` by its type, as KEDA 2.17 documents them. To the API server they are any strings, and
KEDA passes over one that it does not know."""

FROM_ENVIRONMENT = ("bootstrapServers", "consumerGroup", "topic")
"""Those that may be read from the scaled pods' environment: with `FromEnv` behind the name."""

OURS = {
    "bootstrapServers": "EMOTAG_KAFKA__BOOTSTRAP_SERVERS",
    "consumerGroup": "EMOTAG_KAFKA__GROUP_ID",
    "topic": "EMOTAG_INPUT__TOPIC",
}


def problems(tree: Tree) -> Iterator[str]:
    """What is wrong with replicas and triggers of *tree*."""
    partitions = {
        str(topic["spec"].get("topicName") or topic["metadata"]["name"]): int(topic["spec"]["partitions"])
        for _, topic in tree.of_kind("KafkaTopic")
    }
    workloads = list(tree.workloads())
    for workload in workloads:
        topic = _input_topic(workload)
        if topic not in partitions:
            yield f"{workload.where}: its input topic {topic} is none of the topics in deploy/kubernetes"
        elif workload.object["spec"].get("replicas", 1) > partitions[topic]:
            yield f"{workload.where}: more replicas than the {partitions[topic]} partitions of {topic}"
    for where, scaled in tree.of_kind("ScaledObject"):
        overlay = where.partition(":")[0]
        target = scaled["spec"]["scaleTargetRef"]
        kind = f"{target.get('kind', 'Deployment')}/{target['name']}"
        found = [each for each in workloads if each.where == f"{overlay}: {kind}"]
        if not found:
            yield f"{where}: nothing here is called {kind}"
            continue
        for what in _of_a_scaled_object(scaled["spec"], found[0], partitions):
            yield f"{where}: {what}"


def _of_a_scaled_object(spec: Object, target: Workload, partitions: dict[str, int]) -> Iterator[str]:
    most, least = spec.get("maxReplicaCount", 100), spec.get("minReplicaCount", 0)
    topic = _input_topic(target)
    if topic in partitions and most > partitions[topic]:
        yield f"maxReplicaCount ({most}) is over the {partitions[topic]} partitions of {topic}"
    if least > most:
        yield f"minReplicaCount ({least}) is over maxReplicaCount ({most})"
    if not spec.get("fallback"):
        yield "fallback is missing: where KEDA cannot ask the brokers, nothing is decided"
    elif spec["fallback"]["replicas"] > most:
        yield f"fallback.replicas ({spec['fallback']['replicas']}) is over maxReplicaCount ({most})"
    if "replicas" in target.object["spec"]:
        yield f"{target.where} sets replicas: each apply would undo what was decided here"
    for trigger in spec["triggers"]:
        yield from _of_a_trigger(trigger, environment(target))


def _of_a_trigger(trigger: Object, variables: dict[str, str]) -> Iterator[str]:
    known = TRIGGER_KEYS.get(trigger["type"])
    if known is None:
        yield f"trigger {trigger['type']} is none of {', '.join(TRIGGER_KEYS)}"
        return
    metadata = trigger["metadata"]
    from_environment = {f"{name}FromEnv" for name in FROM_ENVIRONMENT}
    for key in metadata:
        if key not in known | from_environment:
            yield f"trigger {trigger['type']}: {key} is none of its keys"
    if metadata.get("excludePersistentLag", "false") != "false":
        yield (
            f"trigger {trigger['type']}: excludePersistentLag counts no lag in a partition that did not move between "
            "two looks; a worker reads one after another, so those of a backlog that wait would not count"
        )
    for name, variable in OURS.items():
        given = metadata.get(name) or variables.get(metadata.get(f"{name}FromEnv", ""))
        if given is None or given != variables.get(variable):
            yield f"trigger {trigger['type']}: {name} is not the worker's own, {variable}"
    if "lagThreshold" not in metadata:
        yield f"trigger {trigger['type']}: lagThreshold is missing; KEDA's own is 10 records"


def _input_topic(workload: Workload) -> str:
    try:
        return environment(workload).get("EMOTAG_INPUT__TOPIC", "texts")
    except EnvironmentProblem:
        return ""
