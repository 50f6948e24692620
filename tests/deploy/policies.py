"""What every pod of ours keeps to: Kubernetes' restricted standard, limits, probes, and time to end by itself."""

from collections.abc import Iterator

from .environment import EnvironmentProblem, settings_of
from .manifests import SHIPPED, Object, Tree, Workload

KUBELET_S = 5.0
"""What is left between the end of a drain and the kill: the interpreter's own end, and the kubelet's slowness."""

KAFKA_PORT = 9092
"""Of a broker that is named without one."""

NOBODYS = "registry.example.com/"
"""Where the images of the overlays that come with emotag lie; nobody can pull one from there."""


def problems(tree: Tree) -> Iterator[str]:
    """What any workload of *tree* does not keep to."""
    for workload in tree.workloads():
        for what in (*_of_the_pod(workload.pod), *_of_time(workload), *_of_ports(workload)):
            yield f"{workload.where}: {what}"
        for container in workload.containers:
            for what in _of_a_container(container, workload.pod):
                yield f"{workload.where}: container {container['name']}: {what}"
            if container["image"].startswith(NOBODYS) and workload.where.partition(":")[0] not in SHIPPED:
                name = container["image"].partition("@")[0].partition(":")[0]
                yield f"{workload.where}: image {container['image']} is an example's: images has to name {name}"
    for where, budget in tree.of_kind("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") in (0, "0", "0%"):
            yield f"{where}: maxUnavailable is 0: no node could ever be drained"
    for where, namespace in tree.of_kind("Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{where}: pod-security.kubernetes.io/enforce is not restricted"


def _of_the_pod(pod: Object) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot is not true"
    if not security.get("runAsUser"):
        yield "securityContext.runAsUser is root, or not a number"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "securityContext.seccompProfile is not RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not false: nothing here asks the cluster anything"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"{name} is set"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a path of the host"
        if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
            yield f"volume {volume['name']} has no sizeLimit"


def _of_a_container(container: Object, pod: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if security.get("privileged"):
        yield "it is privileged"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield "capabilities are not dropped, all of them"
    if "runAsUser" in security and not security["runAsUser"]:
        yield "it runs as root"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        for name in ("cpu", "memory"):
            if not resources.get(kind, {}).get(name):
                yield f"resources.{kind}.{name} is missing"
    tag = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[2]
    if "@sha256:" not in container["image"] and tag in ("", "latest"):
        yield f"image {container['image']} has no tag that says what runs"
    if container in pod.get("initContainers", []):
        return
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if not container.get(probe):
            yield f"{probe} is missing"


def _of_time(workload: Workload) -> Iterator[str]:
    """flush < drain < terminationGracePeriodSeconds, and a start that may take as long as the worker itself waits."""
    try:
        settings = settings_of(workload)
    except EnvironmentProblem:
        return  # said where the environment is looked at
    flush_s, drain_s = settings.kafka.transaction_timeout_s, settings.drain_s
    grace_s = workload.pod.get("terminationGracePeriodSeconds", 30)
    if not flush_s < drain_s:
        yield (
            f"EMOTAG_DRAIN_S ({drain_s:g}) is not above EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S ({flush_s:g}): "
            "a commit that is under way could not end"
        )
    if not drain_s + KUBELET_S <= grace_s:
        yield f"terminationGracePeriodSeconds ({grace_s}) is not {KUBELET_S:g} above EMOTAG_DRAIN_S ({drain_s:g})"
    for container in workload.pod["containers"]:
        probe = container.get("startupProbe", {})
        budget_s = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
        waits_s = 2 * settings.kafka.unavailable_s
        if not budget_s > waits_s:
            yield (
                f"startupProbe gives up after {budget_s} s; the worker itself may wait {waits_s:g} "
                "(EMOTAG_KAFKA__UNAVAILABLE_S, for topics and for transactions), and then says why"
            )


def _of_ports(workload: Workload) -> Iterator[str]:
    """Probes ask where the worker answers, and it is let out to its brokers."""
    try:
        settings = settings_of(workload)
    except EnvironmentProblem:
        return  # said where the environment is looked at
    worker, port = workload.pod["containers"][0], settings.admin.port
    named = {each.get("name"): each["containerPort"] for each in worker.get("ports", [])}
    if port not in named.values():
        yield f"no containerPort is EMOTAG_ADMIN__PORT ({port})"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = worker.get(probe, {}).get("httpGet", {}).get("port", port)
        if named.get(asked, asked) != port:
            yield f"{probe} asks port {named.get(asked, asked)}; EMOTAG_ADMIN__PORT is {port}"
    ends = {broker.rpartition(":")[2].strip() for broker in settings.kafka.bootstrap_servers.split(",")}
    brokers = {int(end) if end.isdigit() else KAFKA_PORT for end in ends}
    for policy in workload.beside:
        if policy["kind"] == "NetworkPolicy" and "Egress" in policy["spec"].get("policyTypes", []):
            for shut in sorted(brokers - _let_out(policy, brokers)):
                yield f"NetworkPolicy/{policy['metadata']['name']} does not let it out to the brokers' port {shut}"


def _let_out(policy: Object, ports: set[int]) -> set[int]:
    """Those of *ports* that a rule names; a rule that names none is for all."""
    rules = policy["spec"].get("egress", [])
    if any("ports" not in rule for rule in rules):
        return ports
    return {port for port in ports for rule in rules for each in rule["ports"] if _covers(each, port)}


def _covers(given: Object, port: int) -> bool:
    if given.get("protocol", "TCP") != "TCP":
        return False
    first = given.get("port", port)
    if isinstance(first, str):  # the other pod's own name of it
        return True
    return bool(first <= port <= int(given.get("endPort") or first))
