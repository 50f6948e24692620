"""The settings of the stream: the order of its timeouts, and the packages that they load."""

import subprocess
import sys

from emotag_model.engines.measurement import PATIENCE_S
from emotag_worker.kafka.input.source import LEAVE_S
from emotag_worker.pipeline import DEVICE_PATIENCE_S
from emotag_worker.settings import loader


def test_timeouts_stand_in_the_order_their_reasons_need() -> None:
    """Cache calls, transactions, the last forward pass, leaving the group and measuring engines fit into the shutdown
    timeout, and that fits into Kubernetes' grace period."""
    defaults = loader.load()
    kubernetes_grace_s = 30
    assert defaults.cache.timeout_ms / 1000 < defaults.shutdown_timeout_s < kubernetes_grace_s
    assert defaults.kafka.transaction_timeout_s < defaults.shutdown_timeout_s
    assert DEVICE_PATIENCE_S + LEAVE_S < defaults.shutdown_timeout_s
    assert PATIENCE_S < defaults.shutdown_timeout_s
    assert defaults.kafka.transaction_timeout_s < defaults.kafka.broker_timeout_s


def test_the_settings_load_no_package_of_the_model() -> None:
    """Every command imports the settings, and most commands need no model."""
    program = (
        "import sys, emotag_worker.settings.loader\n"
        "assert not {'numpy', 'tokenizers'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
