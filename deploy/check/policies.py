"""Check pods: Kubernetes' restricted standard, limits, probes, ports, and time for a clean shutdown."""

from collections.abc import Iterator

from .environment import EnvironmentProblem, load_settings
from .manifests import SHIPPED, Object, Tree, Workload

KUBELET_S = 5.0
"""Time between the shutdown timeout and the kill, for the interpreter's own exit and the kubelet's delay."""

READY_S = 45
"""Shortest `minReadySeconds`. A worker that ends at some record does so within seconds of its start."""

EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
"""Annotation with the local volumes that do not keep the cluster autoscaler from removing a node."""

KAFKA_PORT = 9092
"""Port of a broker that is named without a port."""

EXAMPLE_REGISTRY = "registry.example.com/"
"""Registry in the images of the example overlays. It does not exist."""


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield violations of the policies."""
    for workload in tree.iterate_workloads():
        for what in (
            *_check_pod(workload.pod),
            *_check_rollout(workload.object),
            *_check_times(workload),
            *_check_ports(workload),
        ):
            yield f"{workload.where}: {what}"
        for container in workload.containers:
            for what in _check_container(container, workload.pod):
                yield f"{workload.where}: container {container['name']}: {what}"
            if container["image"].startswith(EXAMPLE_REGISTRY) and workload.where.partition(":")[0] not in SHIPPED:
                name = container["image"].partition("@")[0].partition(":")[0]
                yield f"{workload.where}: image {container['image']} is an example; set {name} under images"
    for where, budget in tree.iterate_kind("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") in (0, "0", "0%"):
            yield f"{where}: maxUnavailable is 0: nodes cannot be drained"
    for where, namespace in tree.iterate_kind("Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{where}: pod-security.kubernetes.io/enforce is not restricted"


def _check_pod(pod: Object) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot is not true"
    if not security.get("runAsUser"):
        yield "securityContext.runAsUser is root, or not a number"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "securityContext.seccompProfile is not RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not false: emotag does not use the Kubernetes API"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"{name} is set"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a path of the host"
        if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
            yield f"volume {volume['name']} has no sizeLimit"


def _check_rollout(workload: Object) -> Iterator[str]:
    """Check that a bad release stops at its first pods, and that no pod keeps its node for ever."""
    if workload["kind"] not in ("Deployment", "StatefulSet"):
        return
    if workload["spec"].get("minReadySeconds", 0) < READY_S:
        yield f"minReadySeconds is below {READY_S}: a release whose workers end after seconds replaces all pods"
    template = workload["spec"]["template"]
    evictable = template["metadata"].get("annotations", {}).get(EVICTABLE, "").split(",")
    for volume in template["spec"].get("volumes", []):
        if "emptyDir" in volume and volume["name"] not in evictable:
            yield f"volume {volume['name']} is not in the annotation {EVICTABLE}: its node is never removed"


def _check_container(container: Object, pod: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if security.get("privileged"):
        yield "privileged is true"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield "capabilities are not all dropped"
    if "runAsUser" in security and not security["runAsUser"]:
        yield "runAsUser is root"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        for name in ("cpu", "memory"):
            if not resources.get(kind, {}).get(name):
                yield f"resources.{kind}.{name} is missing"
    tag = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[2]
    if "@sha256:" not in container["image"] and tag in ("", "latest"):
        yield f"image {container['image']} has no version tag"
    if container in pod.get("initContainers", []):
        return
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if not container.get(probe):
            yield f"{probe} is missing"


def _check_times(workload: Workload) -> Iterator[str]:
    """Check that transaction timeout < shutdown timeout < grace period, and the time of the startup probe."""
    try:
        settings = load_settings(workload)
    except EnvironmentProblem:
        return  # reported by the check of settings
    flush_s, shutdown_timeout_s = settings.kafka.transaction_timeout_s, settings.shutdown_timeout_s
    grace_s = workload.pod.get("terminationGracePeriodSeconds", 30)
    if not flush_s < shutdown_timeout_s:
        yield (
            f"EMOTAG_SHUTDOWN_TIMEOUT_S ({shutdown_timeout_s:g}) is not above "
            f"EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S ({flush_s:g}): "
            "the last commit might not finish"
        )
    if not shutdown_timeout_s + KUBELET_S <= grace_s:
        yield (
            f"terminationGracePeriodSeconds ({grace_s}) is not {KUBELET_S:g} above "
            f"EMOTAG_SHUTDOWN_TIMEOUT_S ({shutdown_timeout_s:g})"
        )
    for container in workload.pod["containers"]:
        probe = container.get("startupProbe", {})
        budget_s = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
        # With several processes, the first starts alone, and the others follow.
        waits_s = 2 * settings.kafka.broker_timeout_s * (1 if settings.processes == 1 else 2)
        if not budget_s > waits_s:
            yield (
                f"startupProbe fails after {budget_s} s, but the worker may wait {waits_s:g} s for topics and "
                "transactions (2 x EMOTAG_KAFKA__BROKER_TIMEOUT_S) before it exits with an error"
            )


def _check_ports(workload: Workload) -> Iterator[str]:
    """Check that probes use the admin port, and that network policies allow connections to the brokers."""
    try:
        settings = load_settings(workload)
    except EnvironmentProblem:
        return  # reported by the check of settings
    worker, port = workload.pod["containers"][0], settings.admin.port
    named = {each.get("name"): each["containerPort"] for each in worker.get("ports", [])}
    if port not in named.values():
        yield f"no containerPort is EMOTAG_ADMIN__PORT ({port})"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        target = worker.get(probe, {}).get("httpGet", {}).get("port", port)
        if named.get(target, target) != port:
            yield f"{probe} uses port {named.get(target, target)}; EMOTAG_ADMIN__PORT is {port}"
    ends = {broker.rpartition(":")[2].strip() for broker in settings.kafka.bootstrap_servers.split(",")}
    brokers = {int(end) if end.isdigit() else KAFKA_PORT for end in ends}
    for policy in workload.siblings:
        if policy["kind"] == "NetworkPolicy" and "Egress" in policy["spec"].get("policyTypes", []):
            for blocked in sorted(brokers - _find_allowed(policy, brokers)):
                yield f"NetworkPolicy/{policy['metadata']['name']} blocks the brokers' port {blocked}"


def _find_allowed(policy: Object, ports: set[int]) -> set[int]:
    """Return the ports that a rule allows. A rule without ports allows all."""
    rules = policy["spec"].get("egress", [])
    if any("ports" not in rule for rule in rules):
        return ports
    return {port for port in ports for rule in rules for each in rule["ports"] if _covers(each, port)}


def _covers(given: Object, port: int) -> bool:
    if given.get("protocol", "TCP") != "TCP":
        return False
    first = given.get("port", port)
    if isinstance(first, str):  # a named port of the other pod
        return True
    return bool(first <= port <= int(given.get("endPort") or first))
