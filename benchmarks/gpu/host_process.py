"""One of several worker processes that share a device: `python -m benchmarks.gpu.host_process DEVICE TEXTS BATCH`.

It prints `ready`. Then, for each line with a number of seconds, it works so long and prints its messages per second.
"""

import sys
import time

import torch

from benchmarks.texts import read_texts
from emotag_model.tagger import EmotionTagger

from . import host


def main() -> None:
    """Load the shipped model, and measure as often as the parent process asks."""
    from emotag_worker.malloc import collect_rarely

    device, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tagger = EmotionTagger.load(on=device, engine="torch", precision="auto" if device.startswith("cuda") else "fp32")
    if device == "cpu":
        torch.set_num_threads(1)  # the processes share the cores
    texts, _ = read_texts()
    texts = (texts * (1 + count // len(texts)))[:count]
    known_NK = tagger.probabilities(tagger.tokenize(texts))
    client = host.StubClient(texts)
    collect_rarely()
    measure(tagger, client, known_NK, batch=batch, seconds=0.0)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        print(measure(tagger, client, known_NK, batch=batch, seconds=float(line)), flush=True)  # noqa: T201


def measure(
    tagger: EmotionTagger, client: host.StubClient, known_NK: host.Probabilities, *, batch: int, seconds: float
) -> float:
    """Return the messages per second of this process."""
    written, began = client.written, time.perf_counter()
    host.run_overlapped(
        host.Host(tagger, known_NK), client, batch, until=lambda: time.perf_counter() - began >= seconds
    )
    return (client.written - written) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
