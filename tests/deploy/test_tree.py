"""The project's own `deploy/` passes each check, and holds what is promised of it."""

from collections.abc import Callable, Iterable

import pytest

from . import environment, kafka, policies, queries, rules, scaling
from .__main__ import ROOT
from .manifests import Skipped, Tree
from .programs import Programs

OVERLAYS = {"overlays/cpu", "overlays/gpu", "overlays/local", "overlays/static", "overlays/next"}


def test_everything_that_can_be_applied_is_rendered(tree: Tree) -> None:
    assert [] == tree.complaints
    assert OVERLAYS | {"base", "kafka", "kafka-local"} == set(tree.rendered)


@pytest.mark.parametrize(
    "check",
    [policies.problems, environment.problems, scaling.problems, kafka.problems, queries.problems, rules.problems],
    ids=lambda check: check.__module__.rpartition(".")[2],
)
def test_our_own_checks_find_nothing(check: Callable[[Tree], Iterable[str]], tree: Tree) -> None:
    try:
        assert [] == list(check(tree))
    except Skipped as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("program", ["schemas", "hadolint", "yamllint", "promtool"])
def test_other_peoples_programs_find_nothing(program: str, tree: Tree, programs: Programs) -> None:
    try:
        assert [] == list(getattr(programs, program)(tree))
    except Skipped as why:
        pytest.skip(str(why))


def test_a_commit_ends_before_the_drain_does_and_the_drain_before_the_kill(tree: Tree) -> None:
    """flush < drain < terminationGracePeriodSeconds, in whatever is applied."""
    workloads = list(tree.workloads())
    assert len(workloads) >= len(OVERLAYS)
    for workload in workloads:
        settings = environment.settings_of(workload)
        step_s = min(settings.latency_slo_ms / 1000, settings.drain_s / 2)
        flush_s = settings.kafka.transaction_timeout_s
        grace_s = workload.pod["terminationGracePeriodSeconds"]
        assert step_s + flush_s < settings.drain_s < grace_s, workload.where


def test_a_scaled_worker_never_has_more_replicas_than_its_topic_has_partitions(tree: Tree) -> None:
    (partitions,) = {
        topic["spec"]["partitions"] for _, topic in tree.of_kind("KafkaTopic") if topic["metadata"]["name"] == "texts"
    }
    found = [scaled["spec"]["maxReplicaCount"] for _, scaled in tree.of_kind("ScaledObject")]
    assert found
    assert max(found) <= partitions


def test_the_one_to_try_needs_neither_keda_nor_the_prometheus_operator_nor_a_password(tree: Tree) -> None:
    groups = {each["apiVersion"].partition("/")[0] for each in tree.objects["overlays/local"]}
    assert not groups & {"keda.sh", "monitoring.coreos.com"}
    (workload,) = [each for each in tree.workloads() if each.where.startswith("overlays/local")]
    assert 1 == workload.object["spec"]["replicas"]
    assert {} == environment.settings_of(workload).kafka.properties


def test_with_static_membership_each_pod_is_a_member_by_its_own_name(tree: Tree) -> None:
    (workload,) = [each for each in tree.workloads() if each.where.startswith("overlays/static")]
    assert "StatefulSet" == workload.object["kind"]
    named = {variable["name"]: variable for variable in workload.containers[0]["env"]}
    identity = named["EMOTAG_KAFKA__PROPERTIES__group.instance.id"]
    assert "metadata.name" == identity["valueFrom"]["fieldRef"]["fieldPath"]
    assert "emotag-0" == environment.settings_of(workload).kafka.properties["group.instance.id"]
    services = {each["metadata"]["name"] for each in workload.beside if each["kind"] == "Service"}
    assert {workload.object["spec"]["serviceName"]} == services


def test_a_second_version_shares_the_group_and_nothing_else_that_is_deleted_with_it(tree: Tree) -> None:
    ours, others = tree.objects["overlays/cpu"], tree.objects["overlays/next"]
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (ours, others)]
    assert not names[0] & names[1]
    first, second = (
        next(each for each in tree.workloads() if each.where.startswith(f"overlays/{name}:"))
        for name in ("cpu", "next")
    )
    assert environment.settings_of(first) == environment.settings_of(second)
    assert first.object["spec"]["selector"] != second.object["spec"]["selector"]


def test_a_gpu_is_asked_for_where_the_worker_is_to_use_one(tree: Tree) -> None:
    for workload in tree.workloads():
        gpus = workload.containers[0]["resources"]["limits"].get("nvidia.com/gpu")
        assert environment.settings_of(workload).model.device == ("cuda" if gpus else "cpu"), workload.where


def test_out_of_a_pod_goes_what_is_for_kafka_redis_and_dns_and_in_comes_prometheus(tree: Tree) -> None:
    policies_ = [policy["spec"] for where, policy in tree.of_kind("NetworkPolicy")]
    assert policies_
    for policy in policies_:
        assert {"Ingress", "Egress"} == set(policy["policyTypes"])
        for rule in (*policy["egress"], *policy["ingress"]):
            for peer in rule.get("to") or rule["from"]:
                assert set(peer) == {"namespaceSelector"}
                assert peer["namespaceSelector"]["matchLabels"]
        assert {9092, 9093, 6379, 53} == {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert [8080] == [port["port"] for rule in policy["ingress"] for port in rule["ports"]]


def test_the_readme_explains_every_setting_that_is_deployed(tree: Tree) -> None:
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    rows = "\n".join(line.split("|")[1] for line in readme.splitlines() if line.startswith("| `"))
    for workload in tree.workloads():
        for name in environment.environment(workload):
            explained = "EMOTAG_KAFKA__PROPERTIES__…" if "PROPERTIES__" in name else name
            assert f"`{explained}`" in rows, name


def test_the_readme_names_every_folder_of_manifests() -> None:
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    kubernetes = ROOT / "deploy" / "kubernetes"
    for file in kubernetes.rglob("kustomization.yaml"):
        assert f"`{file.parent.relative_to(kubernetes).as_posix()}`" in readme
