"""Each check finds a defect in a changed object."""

import copy
from collections.abc import Callable

import pytest

from deploy.check import environment, kafka, policies, rules, scaling
from deploy.check.__main__ import ROOT
from deploy.check.manifests import Object, Tree

from .conftest import Spoil

Spoilt = Callable[[str, Spoil], Tree]


def pod(deployment: Object) -> Object:
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def container(deployment: Object) -> Object:
    found: Object = pod(deployment)["containers"][0]
    return found


def set_variable(name: str, value: str) -> Spoil:
    return lambda it: container(it)["env"].append({"name": name, "value": value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: pod(it).update(hostNetwork=True), "hostNetwork is set"),
        (lambda it: pod(it)["securityContext"].pop("runAsNonRoot"), "runAsNonRoot is not true"),
        (lambda it: pod(it)["securityContext"].update(runAsUser=0), "runAsUser is root"),
        (lambda it: pod(it)["securityContext"].pop("seccompProfile"), "seccompProfile is not RuntimeDefault"),
        (lambda it: pod(it).pop("automountServiceAccountToken"), "automountServiceAccountToken is not false"),
        (lambda it: pod(it)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "is a path of the host"),
        (lambda it: pod(it)["volumes"].append({"name": "x", "emptyDir": {}}), "has no sizeLimit"),
        (lambda it: container(it)["securityContext"].pop("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (lambda it: container(it)["securityContext"].update(privileged=True), "privileged is true"),
        (lambda it: container(it)["securityContext"].update(runAsUser=0), "runAsUser is root"),
        (lambda it: container(it)["securityContext"]["capabilities"].update(drop=["NET_RAW"]), "are not all dropped"),
        (lambda it: container(it)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "are not all dropped"),
        (lambda it: container(it)["resources"].pop("requests"), "resources.requests.cpu is missing"),
        (lambda it: container(it)["resources"]["limits"].pop("memory"), "resources.limits.memory is missing"),
        (lambda it: container(it)["securityContext"].pop("readOnlyRootFilesystem"), "readOnlyRootFilesystem is not"),
        (lambda it: container(it).update(image="registry:5000/emotag"), "has no version tag"),
        (lambda it: container(it).pop("startupProbe"), "startupProbe is missing"),
        (lambda it: container(it).pop("livenessProbe"), "livenessProbe is missing"),
        (lambda it: container(it)["startupProbe"].update(failureThreshold=30), "startupProbe fails after 60 s"),
        (set_variable("EMOTAG_SHUTDOWN_TIMEOUT_S", "39"), "terminationGracePeriodSeconds (40) is not 5 above"),
        (lambda it: container(it).update(ports=[]), "no containerPort is EMOTAG_ADMIN__PORT (8080)"),
        (set_variable("EMOTAG_ADMIN__PORT", "9090"), "readinessProbe uses port 8080; EMOTAG_ADMIN__PORT is 9090"),
        (lambda it: container(it)["livenessProbe"]["httpGet"].update(port=81), "livenessProbe uses port 81"),
        (
            set_variable("EMOTAG_KAFKA__BOOTSTRAP_SERVERS", "a:9093,b:9094"),
            "NetworkPolicy/emotag blocks the brokers' port 9094",
        ),
        (set_variable("EMOTAG_SHUTDOWN_TIMEOUT_S", "10"), "is not above EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S (15)"),
    ],
)
def test_a_pod_that_does_not_keep_to_a_policy_is_noticed(change: Spoil, message: str, spoilt: Spoilt) -> None:
    assert message in "\n".join(policies.find_problems(spoilt("Deployment", change)))


def test_an_image_by_its_digest_needs_no_tag(spoilt: Spoilt) -> None:
    digest = f"registry:5000/emotag@sha256:{'0' * 64}"
    assert [] == list(policies.find_problems(spoilt("Deployment", lambda it: container(it).update(image=digest))))


@pytest.mark.parametrize(
    ("rule", "open_"),
    [
        ({"ports": [{"port": 9000, "endPort": 9100}]}, True),
        ({"ports": [{"port": "kafka"}]}, True),
        ({"ports": [{}]}, True),
        ({}, True),
        ({"ports": [{"protocol": "UDP", "port": 9093}]}, False),
        ({"ports": [{"port": 9094, "endPort": 9100}]}, False),
    ],
)
def test_a_network_policy_names_ports_in_any_of_its_ways(rule: Object, open_: bool, spoilt: Spoilt) -> None:
    changed = spoilt("NetworkPolicy", lambda it: it["spec"].update(egress=[rule]))
    assert open_ == ("the brokers' port 9093" not in "\n".join(policies.find_problems(changed)))


def test_the_example_image_is_found_in_a_users_overlay(tree: Tree) -> None:
    """Kustomize replaces nothing, without an error, if `images` names `emotag` on top of an overlay that renamed it."""
    own = Tree(ROOT)
    own.objects = {"overlays/mine": tree.objects["overlays/cpu"]}
    (message,) = policies.find_problems(own)
    assert "is an example; set registry.example.com/emotag under images" in message


def test_a_users_overlay_may_patch_the_alerts(tree: Tree) -> None:
    own = Tree(ROOT)
    own.objects = {"overlays/mine": copy.deepcopy(tree.objects["overlays/cpu"])}
    (rule,) = [each for each in own.objects["overlays/mine"] if each["kind"] == "PrometheusRule"]
    rule["spec"]["groups"][0]["rules"][0]["expr"] = 'absent(emotag_info{namespace="mine"})'
    assert [] == list(rules.find_problems(own))


def test_each_group_is_compared_with_its_own_user(spoilt: Spoilt, tree: Tree) -> None:
    """Two installations with separate topics and users do not need each other's permissions."""
    names = {"EMOTAG_KAFKA__GROUP_ID": "mine", "EMOTAG_OUTPUT__TOPIC": "feelings", "EMOTAG_DLQ__TOPIC": "broken"}

    def change(it: Object) -> None:
        for name, value in names.items():
            set_variable(name, value)(it)

    both = spoilt("Deployment", change)
    both.objects["mine"] = copy.deepcopy(tree.objects["kafka"])
    mine = {
        "emotag": "mine",
        "emotag-": "mine-",
        "emotag-dlq-replay": "mine-dlq-replay",
        "emotions": "feelings",
        "texts.dlq": "broken",
    }
    for each in both.objects["mine"]:
        each["metadata"]["name"] = mine.get(each["metadata"]["name"], each["metadata"]["name"])
        for acl in each["spec"].get("authorization", {}).get("acls", []):
            acl["resource"]["name"] = mine.get(acl["resource"]["name"], acl["resource"]["name"])
    assert [] == list(kafka.find_problems(both))


def test_an_operators_user_does_not_replace_the_workers_user(tree: Tree) -> None:
    changed = Tree(ROOT)
    changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
    changed.objects["kafka"] = [each for each in changed.objects["kafka"] if not _is_the_workers_user(each)]
    assert "no KafkaUser may read with the group emotag" in "\n".join(kafka.find_problems(changed))


def _is_the_workers_user(it: Object) -> bool:
    return (it["kind"], it["metadata"]["name"]) == ("KafkaUser", "emotag")


def test_an_operators_user_is_compared_with_what_its_commands_need(tree: Tree) -> None:
    changed = Tree(ROOT)
    changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
    (user,) = [each for each in changed.objects["kafka"] if each["metadata"]["name"] == "emotag-operator"]
    user["spec"]["authorization"]["acls"][1]["operations"].append("Read")
    del user["spec"]["authorization"]["acls"][2]["operations"][0]
    message = "\n".join(kafka.find_problems(changed))
    assert "does not need topic emotions literal Read" in message
    assert "needs topic texts.dlq literal Read" in message


def test_a_budget_that_no_node_could_be_drained_under_is_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("PodDisruptionBudget", lambda it: it["spec"].update(maxUnavailable=0))
    assert "nodes cannot be drained" in "\n".join(policies.find_problems(changed))


def test_a_namespace_without_the_restricted_standard_is_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("Namespace", lambda it: it["metadata"].pop("labels"))
    assert "is not restricted" in "\n".join(policies.find_problems(changed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_variable("EMOTAG_KAFKA__GROUP", "g"), "EMOTAG_KAFKA__GROUP is not a setting; did you mean"),
        (set_variable("EMOTAG_NOTHING", "1"), "EMOTAG_NOTHING is not a setting"),
        (set_variable("EMOTAG_ADMIN__PORT", "eighty"), "admin.port (EMOTAG_ADMIN__PORT, from the environment)"),
        (set_variable("EMOTAG_DLQ__TOPIC", "texts"), "three different topics"),
        (set_variable("EMOTAG_KAFKA__PROPERTIES__transactional.id", "mine"), "transactional.id cannot be set"),
        (set_variable("EMOTAG_KAFKA__PROPERTIES__sasl.mechanim", "PLAIN"), "sasl.mechanim"),
        (lambda it: container(it)["envFrom"][0]["configMapRef"].update(name="other"), "ConfigMap other is missing"),
    ],
)
def test_an_environment_that_the_worker_would_not_start_with_is_noticed(
    change: Spoil, message: str, spoilt: Spoilt
) -> None:
    assert message in "\n".join(environment.find_problems(spoilt("Deployment", change)))


def test_a_variable_in_another_is_expanded_like_kubernetes_does(spoilt: Spoilt) -> None:
    def change(it: Object) -> None:
        set_variable("POD", "emotag-7")(it)
        set_variable("EMOTAG_KAFKA__GROUP_ID", "$(POD)-$(NOBODY)")(it)

    (workload,) = spoilt("Deployment", change).iterate_workloads()
    assert "emotag-7-$(NOBODY)" == environment.read_environment(workload)["EMOTAG_KAFKA__GROUP_ID"]


def trigger(scaled: Object) -> Object:
    found: Object = scaled["spec"]["triggers"][0]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: trigger(it).update(type="rabbitmq"), "trigger rabbitmq is not one of kafka, apache-kafka"),
        (
            lambda it: trigger(it)["metadata"].update(consumerGroupFromEnv="HOME"),
            "consumerGroup differs from",
        ),
        (lambda it: trigger(it)["metadata"].update(topic="others"), "topic differs from the worker's"),
        (lambda it: trigger(it)["metadata"].pop("lagThreshold"), "lagThreshold is missing"),
        (lambda it: trigger(it)["metadata"].update(lagThresholdFromEnv="X"), "unknown key lagThresholdFromEnv"),
        (
            lambda it: trigger(it)["metadata"].update(excludePersistentLag="true"),
            "the waiting ones would not",
        ),
        (lambda it: it["spec"].pop("fallback"), "fallback is missing"),
        (lambda it: it["spec"]["fallback"].update(replicas=99), "fallback.replicas (99) exceeds"),
        (lambda it: it["spec"].update(minReplicaCount=17), "minReplicaCount (17) exceeds maxReplicaCount (16)"),
        (lambda it: it["spec"].pop("maxReplicaCount"), "maxReplicaCount (100) exceeds"),
        (lambda it: it["spec"]["scaleTargetRef"].update(kind="StatefulSet"), "StatefulSet/emotag does not exist"),
    ],
)
def test_scaling_that_would_not_work_is_noticed(change: Spoil, message: str, spoilt: Spoilt) -> None:
    assert message in "\n".join(scaling.find_problems(spoilt("ScaledObject", change)))


@pytest.mark.parametrize(
    ("processes", "message"),
    [("2", "maxReplicaCount (16 of 2 processes) exceeds the 16 partitions of texts"), ("1", ""), ("auto", "")],
)
def test_more_processes_than_partitions_are_noticed(processes: str, message: str, spoilt: Spoilt) -> None:
    problems = "\n".join(scaling.find_problems(spoilt("Deployment", set_variable("EMOTAG_PROCESSES", processes))))
    assert message in problems
    assert bool(message) == ("exceeds" in problems)


def test_replicas_that_each_apply_would_reset_are_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("Deployment", lambda it: it["spec"].update(replicas=17))
    message = "\n".join(scaling.find_problems(changed))
    assert "more replicas than the 16 partitions of texts" in message
    assert "each apply would override" in message


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("KafkaUser", lambda it: it["spec"]["authorization"]["acls"].pop(), "needs transactionalId emotag- prefix"),
        (
            "KafkaUser",
            lambda it: it["spec"]["authorization"]["acls"][0]["operations"].append("All"),
            "does not need topic texts literal All",
        ),
        ("Deployment", set_variable("EMOTAG_OUTPUT__TOPIC", "feelings"), "KafkaTopic feelings is missing"),
        ("Deployment", set_variable("EMOTAG_KAFKA__GROUP_ID", "mine"), "no KafkaUser may read with the group mine"),
        ("Deployment", set_variable("EMOTAG_INPUT__MAX_VALUE_BYTES", "2000000"), "max.message.bytes is below"),
    ],
)
def test_topics_and_permissions_that_are_not_the_workers_are_noticed(
    kind: str, change: Spoil, message: str, spoilt: Spoilt
) -> None:
    assert message in "\n".join(kafka.find_problems(spoilt(kind, change)))
