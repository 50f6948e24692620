"""The project's own `deploy/` passes each check, and has the promised properties."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from deploy.check import environment, kafka, policies, rules, scaling
from deploy.check.__main__ import ROOT
from deploy.check.manifests import Skipped, Tree
from deploy.check.programs import Programs

OVERLAYS = {"overlays/cpu", "overlays/gpu", "overlays/local", "overlays/static", "overlays/next"}


def test_everything_that_can_be_applied_is_rendered(tree: Tree) -> None:
    assert [] == tree.errors
    assert OVERLAYS | {"base", "kafka", "kafka-local"} == set(tree.rendered)


@pytest.mark.parametrize(
    "check",
    [
        policies.find_problems,
        environment.find_problems,
        scaling.find_problems,
        kafka.find_problems,
        rules.find_problems,
    ],
    ids=lambda check: check.__module__.rpartition(".")[2],
)
def test_the_checks_find_no_problems(check: Callable[[Tree], Iterable[str]], tree: Tree) -> None:
    try:
        assert [] == list(check(tree))
    except Skipped as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("program", ["check_schemas", "check_dockerfile", "check_yaml", "check_rules"])
def test_external_programs_find_no_problems(program: str, tree: Tree, programs: Programs) -> None:
    try:
        assert [] == list(getattr(programs, program)(tree))
    except Skipped as reason:
        pytest.skip(str(reason))


def test_a_commit_ends_before_the_shutdown_timeout_and_this_before_the_kill(tree: Tree) -> None:
    """Transaction timeout < shutdown timeout < terminationGracePeriodSeconds, in every overlay."""
    workloads = list(tree.iterate_workloads())
    assert len(workloads) >= len(OVERLAYS)
    for workload in workloads:
        settings = environment.load_settings(workload)
        batch_s = min(settings.latency_slo_ms / 1000, settings.shutdown_timeout_s / 2)
        flush_s = settings.kafka.transaction_timeout_s
        grace_s = workload.pod["terminationGracePeriodSeconds"]
        assert batch_s + flush_s < settings.shutdown_timeout_s < grace_s, workload.where


def test_a_scaled_worker_never_has_more_replicas_than_its_topic_has_partitions(tree: Tree) -> None:
    (partitions,) = {
        topic["spec"]["partitions"]
        for _, topic in tree.iterate_kind("KafkaTopic")
        if topic["metadata"]["name"] == "texts"
    }
    found = {where.partition(":")[0]: each["spec"] for where, each in tree.iterate_kind("ScaledObject")}
    assert found
    for overlay, scaled in found.items():
        (workload,) = [each for each in tree.iterate_workloads() if each.where.startswith(f"{overlay}:")]
        processes = environment.load_settings(workload).processes
        assert isinstance(processes, int)
        assert scaled["maxReplicaCount"] * processes <= partitions


def test_a_pod_with_a_gpu_has_a_core_for_each_process(tree: Tree) -> None:
    (workload,) = [each for each in tree.iterate_workloads() if each.where.startswith("overlays/gpu:")]
    processes = environment.load_settings(workload).processes
    assert 1 != processes
    assert str(processes) == workload.containers[0]["resources"]["limits"]["cpu"]


def test_the_local_overlay_needs_neither_keda_nor_the_prometheus_operator_nor_a_password(tree: Tree) -> None:
    groups = {each["apiVersion"].partition("/")[0] for each in tree.objects["overlays/local"]}
    assert not groups & {"keda.sh", "monitoring.coreos.com"}
    (workload,) = [each for each in tree.iterate_workloads() if each.where.startswith("overlays/local")]
    assert 1 == workload.object["spec"]["replicas"]
    assert {} == environment.load_settings(workload).kafka.properties


def test_with_static_membership_each_pod_is_a_member_by_its_own_name(tree: Tree) -> None:
    (workload,) = [each for each in tree.iterate_workloads() if each.where.startswith("overlays/static")]
    assert "StatefulSet" == workload.object["kind"]
    named = {variable["name"]: variable for variable in workload.containers[0]["env"]}
    identity = named["EMOTAG_KAFKA__IDENTITY"]
    assert "metadata.name" == identity["valueFrom"]["fieldRef"]["fieldPath"]
    assert "emotag-0" == environment.load_settings(workload).kafka.identity
    services = {each["metadata"]["name"] for each in workload.siblings if each["kind"] == "Service"}
    assert {workload.object["spec"]["serviceName"]} == services


def test_a_second_version_shares_the_group_and_nothing_else_that_is_deleted_with_it(tree: Tree) -> None:
    ours, others = tree.objects["overlays/cpu"], tree.objects["overlays/next"]
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (ours, others)]
    assert not names[0] & names[1]
    first, second = (
        next(each for each in tree.iterate_workloads() if each.where.startswith(f"overlays/{name}:"))
        for name in ("cpu", "next")
    )
    assert environment.load_settings(first) == environment.load_settings(second)
    assert first.object["spec"]["selector"] != second.object["spec"]["selector"]


def test_a_gpu_is_requested_if_the_worker_uses_one(tree: Tree) -> None:
    for workload in tree.iterate_workloads():
        gpus = workload.containers[0]["resources"]["limits"].get("nvidia.com/gpu")
        assert environment.load_settings(workload).model.device == ("cuda" if gpus else "cpu"), workload.where


def test_network_policies_allow_kafka_redis_dns_and_prometheus_only(tree: Tree) -> None:
    policies_ = [policy["spec"] for where, policy in tree.iterate_kind("NetworkPolicy")]
    assert policies_
    for policy in policies_:
        assert {"Ingress", "Egress"} == set(policy["policyTypes"])
        for rule in (*policy["egress"], *policy["ingress"]):
            for peer in rule.get("to") or rule["from"]:
                assert set(peer) == {"namespaceSelector"}
                assert peer["namespaceSelector"]["matchLabels"]
        assert {9092, 9093, 6379, 53} == {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert [8080] == [port["port"] for rule in policy["ingress"] for port in rule["ports"]]


def test_every_setting_that_is_deployed_has_a_row(tree: Tree) -> None:
    page = (ROOT / "deploy" / "settings.md").read_text(encoding="utf-8")
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    for workload in tree.iterate_workloads():
        for name in environment.read_environment(workload):
            explained = "EMOTAG_KAFKA__PROPERTIES__…" if "PROPERTIES__" in name else name
            assert f"`{explained}`" in rows, name


def test_the_readme_names_every_folder_of_manifests() -> None:
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    kubernetes = ROOT / "deploy" / "kubernetes"
    for file in kubernetes.rglob("kustomization.yaml"):
        assert f"`{file.parent.relative_to(kubernetes).as_posix()}`" in readme


@pytest.mark.parametrize("page", ["README.md", "upgrade.md"])
def test_the_overlay_that_a_guide_shows_renders_and_has_no_example_image(page: str, own_deploy: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "deploy" / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    (overlay,) = [block for block in blocks if "kind: Kustomization" in block]
    folder = own_deploy / "deploy" / "kubernetes" / "overlays" / "mine"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(overlay, encoding="utf-8")
    rendered = Tree(own_deploy, only=["overlays/mine", "kafka"])
    try:
        assert [] == rendered.errors
    except Skipped as reason:
        pytest.skip(str(reason))
    assert [] == [*policies.find_problems(rendered), *environment.find_problems(rendered)]
    (workload,) = rendered.iterate_workloads()
    assert workload.containers[0]["image"].startswith("registry.mine.org/emotag:")
    assert "feelings" == workload.object["metadata"]["namespace"]
