"""The values that settings accept, and how they are written."""

import pytest

from emotag_worker import settings
from emotag_worker.settings import loader
from emotag_worker.settings.reference import list_settings

CLOSED = [
    ("log.level", "INFO", "info"),
    ("delivery", "Exactly_Once", "exactly_once"),
    ("input.format", "JSON", "json"),
    ("input.start", "Latest", "latest"),
    ("input.long_texts", "First", "first"),
    ("input.on_data_loss", "Stop", "stop"),
    ("input.tombstones", "Skip", "skip"),
    ("on_mistake", "HOLD", "hold"),
    ("output.out_of_scope", "Dead_Letter", "dead_letter"),
    ("output.partition", "KEY", "key"),
    ("output.timestamp", "Now", "now"),
    ("log.format", "Console", "console"),
    ("model.engine", "OpenVINO", "openvino"),
    ("model.precision", "INT8", "int8"),
    ("model.device", "CPU", "cpu"),
]


@pytest.mark.parametrize(("name", "value", "read"), CLOSED)
def test_the_values_of_closed_sets_are_accepted_in_any_case(name: str, value: str, read: str) -> None:
    loaded = loader.load(flags=loader.parse_flags([f"{name}={value}"])).model_dump()
    section, _, field = name.rpartition(".")
    assert read == (loaded[section] if section else loaded)[field]


def test_every_closed_set_is_tried_in_another_case() -> None:
    closed = {
        each.name for each in list_settings().values() if isinstance(each.default, str) and " or " in each.allowed
    }
    assert closed - {"kafka.bootstrap_servers", "admin.host"} == {name for name, _, _ in CLOSED}


@pytest.mark.parametrize(("value", "read"), [("3", 3), (3, 3), ("Auto", "auto"), ("1", 1), ("256", 256)])
def test_the_number_of_processes_is_a_number_or_auto(value: object, read: object) -> None:
    assert read == settings.Settings.model_validate({"processes": value}).processes


def test_brokers_may_be_a_list() -> None:
    read = settings.KafkaSettings.model_validate({"bootstrap_servers": ["a:9092", "b:9092"]})
    assert read.bootstrap_servers == "a:9092,b:9092"


PATHS = ["text", "payload.body", "full text", "$oid", "a/b", "über"]


@pytest.mark.parametrize("path", PATHS)
def test_a_dotted_path_is_accepted(path: str) -> None:
    assert path == settings.InputSettings(text_path=path).text_path
    assert path == settings.InputSettings(id_path=path).id_path
