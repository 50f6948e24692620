"""What else our own checks notice, each in an object that is changed."""

import copy
from collections.abc import Callable

import pytest

from . import environment, kafka, policies, rules, scaling
from .__main__ import ROOT
from .conftest import Spoil
from .manifests import Object, Tree

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
    ("change", "said"),
    [
        (lambda it: pod(it).update(hostNetwork=True), "hostNetwork is set"),
        (lambda it: pod(it)["securityContext"].pop("runAsNonRoot"), "runAsNonRoot is not true"),
        (lambda it: pod(it)["securityContext"].update(runAsUser=0), "runAsUser is root"),
        (lambda it: pod(it)["securityContext"].pop("seccompProfile"), "seccompProfile is not RuntimeDefault"),
        (lambda it: pod(it).pop("automountServiceAccountToken"), "automountServiceAccountToken is not false"),
        (lambda it: pod(it)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "is a path of the host"),
        (lambda it: pod(it)["volumes"].append({"name": "x", "emptyDir": {}}), "has no sizeLimit"),
        (lambda it: container(it)["securityContext"].pop("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (lambda it: container(it)["securityContext"].update(privileged=True), "it is privileged"),
        (lambda it: container(it)["securityContext"].update(runAsUser=0), "it runs as root"),
        (lambda it: container(it)["securityContext"]["capabilities"].update(drop=["NET_RAW"]), "are not dropped"),
        (lambda it: container(it)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "are not dropped"),
        (lambda it: container(it)["resources"].pop("requests"), "resources.requests.cpu is missing"),
        (lambda it: container(it).update(image="registry:5000/emotag"), "has no tag that says what runs"),
        (lambda it: container(it).pop("startupProbe"), "startupProbe is missing"),
        (lambda it: container(it).pop("livenessProbe"), "livenessProbe is missing"),
        (lambda it: container(it)["startupProbe"].update(failureThreshold=30), "startupProbe gives up after 60 s"),
        (set_variable("EMOTAG_DRAIN_S", "39"), "terminationGracePeriodSeconds (40) is not 5 above"),
        (lambda it: container(it).update(ports=[]), "no containerPort is EMOTAG_ADMIN__PORT (8080)"),
        (set_variable("EMOTAG_ADMIN__PORT", "9090"), "readinessProbe asks port 8080; EMOTAG_ADMIN__PORT is 9090"),
        (lambda it: container(it)["livenessProbe"]["httpGet"].update(port=81), "livenessProbe asks port 81"),
        (
            set_variable("EMOTAG_KAFKA__BOOTSTRAP_SERVERS", "a:9093,b:9094"),
            "NetworkPolicy/emotag does not let it out to the brokers' port 9094",
        ),
        (set_variable("EMOTAG_DRAIN_S", "10"), "is not above EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S (15)"),
    ],
)
def test_a_pod_that_does_not_keep_to_a_policy_is_noticed(change: Spoil, said: str, spoilt: Spoilt) -> None:
    assert said in "\n".join(policies.problems(spoilt("Deployment", change)))


def test_an_image_by_its_digest_needs_no_tag(spoilt: Spoilt) -> None:
    digest = f"registry:5000/emotag@sha256:{'0' * 64}"
    assert [] == list(policies.problems(spoilt("Deployment", lambda it: container(it).update(image=digest))))


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
    assert open_ == ("the brokers' port 9093" not in "\n".join(policies.problems(changed)))


def test_the_examples_image_is_noticed_in_an_overlay_of_somebodys_own(tree: Tree) -> None:
    """Where `images` names `emotag` over an overlay that has renamed it, nothing is replaced and nothing said."""
    own = Tree(ROOT)
    own.objects = {"overlays/mine": tree.objects["overlays/cpu"]}
    (said,) = policies.problems(own)
    assert "images has to name registry.example.com/emotag" in said


def test_an_overlay_of_somebodys_own_may_patch_the_alerts(tree: Tree) -> None:
    own = Tree(ROOT)
    own.objects = {"overlays/mine": copy.deepcopy(tree.objects["overlays/cpu"])}
    (rule,) = [each for each in own.objects["overlays/mine"] if each["kind"] == "PrometheusRule"]
    rule["spec"]["groups"][0]["rules"][0]["expr"] = 'absent(emotag_info{namespace="mine"})'
    assert [] == list(rules.problems(own))


def test_each_group_is_held_against_its_own_user(spoilt: Spoilt, tree: Tree) -> None:
    """Two installations with topics and users of their own do not need one another's permissions."""
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
    assert [] == list(kafka.problems(both))


def test_an_operators_user_does_not_stand_in_for_the_workers(tree: Tree) -> None:
    changed = Tree(ROOT)
    changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
    changed.objects["kafka"] = [each for each in changed.objects["kafka"] if not _is_the_workers_user(each)]
    assert "no KafkaUser may read as the group emotag" in "\n".join(kafka.problems(changed))


def _is_the_workers_user(it: Object) -> bool:
    return (it["kind"], it["metadata"]["name"]) == ("KafkaUser", "emotag")


def test_an_operators_user_is_held_against_what_its_commands_need(tree: Tree) -> None:
    changed = Tree(ROOT)
    changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
    (user,) = [each for each in changed.objects["kafka"] if each["metadata"]["name"] == "emotag-operator"]
    user["spec"]["authorization"]["acls"][1]["operations"].append("Read")
    del user["spec"]["authorization"]["acls"][2]["operations"][0]
    said = "\n".join(kafka.problems(changed))
    assert "does not need topic emotions literal Read" in said
    assert "needs topic texts.dlq literal Read" in said


def test_a_budget_that_no_node_could_be_drained_under_is_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("PodDisruptionBudget", lambda it: it["spec"].update(maxUnavailable=0))
    assert "no node could ever be drained" in "\n".join(policies.problems(changed))


def test_a_namespace_without_the_restricted_standard_is_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("Namespace", lambda it: it["metadata"].pop("labels"))
    assert "is not restricted" in "\n".join(policies.problems(changed))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_variable("EMOTAG_KAFKA__GROUP", "g"), "EMOTAG_KAFKA__GROUP is not a setting; did you mean"),
        (set_variable("EMOTAG_NOTHING", "1"), "EMOTAG_NOTHING: not a setting"),
        (set_variable("EMOTAG_ADMIN__PORT", "eighty"), "admin.port (EMOTAG_ADMIN__PORT)"),
        (set_variable("EMOTAG_DLQ__TOPIC", "texts"), "three different topics"),
        (set_variable("EMOTAG_KAFKA__PROPERTIES__transactional.id", "mine"), "transactional.id cannot be set"),
        (set_variable("EMOTAG_KAFKA__PROPERTIES__sasl.mechanim", "PLAIN"), "sasl.mechanim"),
        (lambda it: container(it)["envFrom"][0]["configMapRef"].update(name="other"), "no ConfigMap other"),
    ],
)
def test_an_environment_that_the_worker_would_not_start_with_is_noticed(
    change: Spoil, said: str, spoilt: Spoilt
) -> None:
    assert said in "\n".join(environment.problems(spoilt("Deployment", change)))


def test_a_variable_within_another_is_put_in_as_kubernetes_does(spoilt: Spoilt) -> None:
    def change(it: Object) -> None:
        set_variable("POD", "emotag-7")(it)
        set_variable("EMOTAG_KAFKA__GROUP_ID", "$(POD)-$(NOBODY)")(it)

    (workload,) = spoilt("Deployment", change).workloads()
    assert "emotag-7-$(NOBODY)" == environment.environment(workload)["EMOTAG_KAFKA__GROUP_ID"]


def trigger(scaled: Object) -> Object:
    found: Object = scaled["spec"]["triggers"][0]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: trigger(it).update(type="rabbitmq"), "trigger rabbitmq is none of kafka, apache-kafka"),
        (lambda it: trigger(it)["metadata"].update(consumerGroupFromEnv="HOME"), "consumerGroup is not the worker's"),
        (lambda it: trigger(it)["metadata"].update(topic="others"), "topic is not the worker's own"),
        (lambda it: trigger(it)["metadata"].pop("lagThreshold"), "lagThreshold is missing"),
        (lambda it: trigger(it)["metadata"].update(lagThresholdFromEnv="X"), "lagThresholdFromEnv is none of its keys"),
        (
            lambda it: trigger(it)["metadata"].update(excludePersistentLag="true"),
            "those of a backlog that wait would not",
        ),
        (lambda it: it["spec"].pop("fallback"), "fallback is missing"),
        (lambda it: it["spec"]["fallback"].update(replicas=99), "fallback.replicas (99) is over"),
        (lambda it: it["spec"].update(minReplicaCount=17), "minReplicaCount (17) is over maxReplicaCount (16)"),
        (lambda it: it["spec"].pop("maxReplicaCount"), "maxReplicaCount (100) is over"),
        (lambda it: it["spec"]["scaleTargetRef"].update(kind="StatefulSet"), "nothing here is called StatefulSet"),
    ],
)
def test_scaling_that_would_not_work_is_noticed(change: Spoil, said: str, spoilt: Spoilt) -> None:
    assert said in "\n".join(scaling.problems(spoilt("ScaledObject", change)))


def test_replicas_that_each_apply_would_reset_are_noticed(spoilt: Spoilt) -> None:
    changed = spoilt("Deployment", lambda it: it["spec"].update(replicas=17))
    said = "\n".join(scaling.problems(changed))
    assert "more replicas than the 16 partitions of texts" in said
    assert "each apply would undo" in said


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("KafkaUser", lambda it: it["spec"]["authorization"]["acls"].pop(), "needs transactionalId emotag- prefix"),
        (
            "KafkaUser",
            lambda it: it["spec"]["authorization"]["acls"][0]["operations"].append("All"),
            "does not need topic texts literal All",
        ),
        ("Deployment", set_variable("EMOTAG_OUTPUT__TOPIC", "feelings"), "no KafkaTopic is called feelings"),
        ("Deployment", set_variable("EMOTAG_KAFKA__GROUP_ID", "mine"), "no KafkaUser may read as the group mine"),
        ("Deployment", set_variable("EMOTAG_INPUT__MAX_VALUE_BYTES", "2000000"), "max.message.bytes is below"),
    ],
)
def test_topics_and_permissions_that_are_not_the_workers_are_noticed(
    kind: str, change: Spoil, said: str, spoilt: Spoilt
) -> None:
    assert said in "\n".join(kafka.problems(spoilt(kind, change)))
