"""Apache Kafka, Valkey and a worker on loopback, for `emotag demo`, `emotag local` and the tests.

Production does not use this package.
"""

from emotag_worker.errors import LocalError

from .kafka import LocalKafka, run_kafka
from .process import LocalWorker
from .valkey import LocalValkey, run_valkey

__all__ = ["LocalError", "LocalKafka", "LocalValkey", "LocalWorker", "run_kafka", "run_valkey"]
