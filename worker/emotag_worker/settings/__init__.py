"""Every setting of the worker, with its unit, its meaning and its reason.

`stream` and `machine` hold and check values; `loader` reads them from the environment, a file and flags; `reference`
describes them.
"""

from .exposure import find_exposures
from .fields import PREFIX, Allowed
from .machine import AdminSettings, BatchSettings, CacheSettings, LogSettings, ModelSettings, TracesSettings
from .sections import Settings, check_cache_secret
from .stream import DlqSettings, InputSettings, KafkaSettings, OutputSettings

__all__ = [
    "PREFIX",
    "AdminSettings",
    "Allowed",
    "BatchSettings",
    "CacheSettings",
    "DlqSettings",
    "InputSettings",
    "KafkaSettings",
    "LogSettings",
    "ModelSettings",
    "OutputSettings",
    "Settings",
    "TracesSettings",
    "check_cache_secret",
    "find_exposures",
]
