"""Apache Kafka and Valkey on loopback, and a worker beside them: behind `emotag demo`, `emotag local` and the tests.

Nothing production needs.
"""

from .kafka import LocalKafka, kafka
from .process import LocalWorker
from .server import LocalError
from .valkey import LocalValkey, valkey

__all__ = ["LocalError", "LocalKafka", "LocalValkey", "LocalWorker", "kafka", "valkey"]
