"""Read if a topic is compacted: only there, a tombstone deletes earlier records, and each record needs a key."""

from functools import partial

from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from emotag_worker.errors import BrokerUnavailable, Denied, RequestRefused
from emotag_worker.settings import Settings
from emotag_worker.wire.encode import TombstoneAction

from . import clients
from .topics import PROBE_S, request

POLICY = "cleanup.policy"

ASK_S = 5.0
"""Longest wait for a policy that is useful, but not necessary."""


def choose_tombstone_action(settings: Settings) -> tuple[TombstoneAction, str]:
    """Return the handling of tombstones by `input.tombstones`, and the reason. For `auto`, request it from the brokers.

    Raises:
        BrokerUnavailable: no broker answers in time.
    """
    named, topic = settings.input.tombstones, settings.output.topic
    if named != "auto":
        return named, "EMOTAG_INPUT__TOMBSTONES"
    try:
        with clients.create_admin(settings, polled=True) as admin:
            policy = read_cleanup_policy(admin, topic, within_s=settings.kafka.broker_timeout_s)
    except (Denied, RequestRefused) as error:
        return "dead_letter", f"the cleanup.policy of {topic} is not known: {error}"
    return "forward" if "compact" in policy else "dead_letter", f"{POLICY} of {topic} is {policy}"


class CompactedTopics:
    """Topics that refuse every record without a key. Each topic is asked for once, when somebody needs to know."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, bool] = {}

    def __contains__(self, topic: object) -> bool:
        """Return True if *topic* is certainly compacted."""
        name = str(topic)
        if name not in self._known:
            try:
                with clients.create_admin(self._settings, polled=True) as admin:
                    self._known[name] = "compact" in read_cleanup_policy(admin, name, within_s=ASK_S)
            except (BrokerUnavailable, Denied, RequestRefused):
                self._known[name] = False
        return self._known[name]


def read_cleanup_policy(admin: AdminClient, topic: str, *, within_s: float) -> str:
    """Return the `cleanup.policy` of a topic: `delete`, `compact`, or both.

    Args:
        within_s: longest wait.

    Raises:
        BrokerUnavailable: no broker answers in time.
        Denied: this client may not describe the topic.
        RequestRefused: the brokers refuse the request, or do not report the policy.
    """
    return request(
        admin, f"reading the settings of {topic}", partial(_describe, admin, topic), topic=topic, within_s=within_s
    )


def _describe(admin: AdminClient, topic: str) -> str:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (described,) = admin.describe_configs([resource], request_timeout=PROBE_S).values()
    entry = described.result().get(POLICY)
    if entry is None or entry.value is None:  # some services that speak Kafka's protocol report fewer settings
        raise RequestRefused(f"the brokers do not report the {POLICY} of {topic}")
    return str(entry.value)
