"""`make fuzz`: coverage-guided fuzzing of what strangers' bytes reach first, each target for a bounded time.

python -m tests.fuzz decode --seconds 60
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TARGETS = ("decode", "entry", "artifact")
SEEDS = 200


def main() -> int:
    """Each target in a process of its own, a line for each; 1 where one crashed."""
    parser = argparse.ArgumentParser(description="Fuzz decode, cache entries and artifacts.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="one, in this process; all where none is given")
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    if asked.target:
        _fuzz(asked.target, asked.seconds)
    crashed = 0
    for target in TARGETS:
        command = [sys.executable, "-m", "tests.fuzz", target, "--seconds", str(asked.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if line.startswith("Done ") or "stat::" in line]
        sys.stdout.write(f"{target}: {'crashed' if done.returncode else 'no crash'}; {' '.join(told)}\n")
        if done.returncode:
            crashed += 1
            sys.stdout.write(done.stderr[-4000:] + "\n")
    return 1 if crashed else 0


def _fuzz(target: str, seconds: int) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["worker", "model", "schemas"]):
        # What takes long is loaded here, under instrumentation, and not by name at the top.
        one, seeds = {"decode": _decode, "entry": _entry, "artifact": _artifact}[target]()
    folder = Path(tempfile.mkdtemp(prefix="emotag-fuzz-"))
    for number, seed in enumerate(seeds[:SEEDS]):
        (folder / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-max_len=8192", str(folder)], one)
    atheris.Fuzz()


Target = tuple[Callable[[bytes], None], list[bytes]]


def _decode() -> Target:
    """A value is decoded and written, or refused; nothing else comes out."""
    from datetime import UTC, datetime

    from tests.mixture import mixture
    from worker.decode import decode
    from worker.encode import Answer, Encoder
    from worker.errors import BadRecord
    from worker.fingerprint import Fingerprint
    from worker.record import Record
    from worker.settings import InputSettings

    kinds = [InputSettings(), InputSettings(format="text"), InputSettings(text_path="a.b")]
    encoder = Encoder({"name": "one"}, "emotions", "dead", "group", "0")
    fingerprint = Fingerprint(model="m", key="k")
    now = datetime.now(UTC)

    def one(value: bytes) -> None:
        record = Record("texts", 0, 7, value[:9], value, [("h", value[:20])], 5)
        for kind in kinds:
            try:
                decoded = decode(record, kind)
            except BadRecord as error:
                encoder.dead_letter(record, error, now)
                continue
            fingerprint(decoded.text)
            written = encoder.result(record, decoded, Answer((), None, truncated=False, cached=False), now)
            json.loads(written.value or b"")

    return one, [sent.value for sent in mixture(300, seed=1) if sent.value and len(sent.value) < 8_000]


def _entry() -> Target:
    """What a cache holds is an entry of that many labels, or nothing."""
    import numpy as np

    from worker.entry import Entry, pack, quantise, unpack

    good = pack(Entry(quantise(np.linspace(0, 1, 28, dtype=np.float32)), truncated=True))

    def one(value: bytes) -> None:
        (found,) = unpack([value], labels=28)
        assert found is None or (len(found.probabilities_K) == 28 and np.isfinite(found.probabilities_K).all())

    return one, [good, good[:-1], b"", bytes(66)]


def _artifact() -> Target:
    """A folder is an artifact or is refused, whatever stands in its small files and in the head of its weights."""
    import shutil

    from model import artifact
    from model.artifact import ArtifactError

    folder = Path(tempfile.mkdtemp(prefix="emotag-fuzz-artifact-"))
    names = (artifact.CONFIG, artifact.THRESHOLDS, artifact.METRICS, artifact.SUMS, artifact.WEIGHTS)
    originals = {name: (artifact.DEFAULT / name).read_bytes()[:200_000] for name in names}
    tokenizer = artifact.DEFAULT / artifact.TOKENIZER

    def one(value: bytes) -> None:
        if not value:
            return
        shutil.copyfile(tokenizer, folder / artifact.TOKENIZER)
        for name, content in originals.items():
            (folder / name).write_bytes(content)
        (folder / names[value[0] % len(names)]).write_bytes(value[1:])
        _sign(folder)
        with contextlib.suppress(ArtifactError):
            artifact.load(folder)

    seeds = [bytes([number]) + originals[name][:8_000] for number, name in enumerate(names)]
    return one, seeds


def _sign(folder: Path) -> None:
    """Make the checksums right, so that what is behind them is reached."""
    import hashlib

    names = [path.name for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
