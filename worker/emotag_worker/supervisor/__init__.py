"""Several workers under one small process: `emotag run --processes N`.

The supervisor starts complete workers as child processes, restarts the ones that fail, and has one port for the metrics
and probes of all. It imports neither the model nor a Kafka client.
"""
