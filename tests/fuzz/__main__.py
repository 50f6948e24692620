"""`make fuzz`: coverage-guided fuzzing of the code that parses bytes of strangers, and random batches through the
native engine under sanitizers, each for a limited time.

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

from . import native

TARGETS = ("decode", "entry", "artifact", "tokens")
SEEDS = 200


def main() -> int:
    """Run each target in a separate process, print a line for each, and return 1 if one crashed."""
    parser = argparse.ArgumentParser(description="Fuzz decode, cache entries, artifacts and tokens.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="one target, in this process; default: all")
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
    crashed += _compute_sanitized(asked.seconds)
    return 1 if crashed else 0


def _compute_sanitized(seconds: int) -> int:
    """Run the native engine under sanitizers; return 1 if they found something."""
    with tempfile.TemporaryDirectory() as folder:
        done = native.run(Path(folder), seconds=seconds)
    sys.stdout.write(f"native: {'crashed' if done.returncode else 'no crash'}; {done.stdout}")
    if done.returncode:
        sys.stdout.write(done.stderr[-4000:] + "\n")
    return int(done.returncode != 0)


def _fuzz(target: str, seconds: int) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["emotag_worker", "emotag_model", "emotag_schemas"]):
        # Slow imports are here, under instrumentation, instead of at the top.
        one, seeds = {"decode": _decode, "entry": _entry, "artifact": _artifact, "tokens": _tokens}[target]()
    folder = Path(tempfile.mkdtemp(prefix="emotag-fuzz-"))
    for number, seed in enumerate(seeds[:SEEDS]):
        (folder / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-max_len=8192", str(folder)], one)
    atheris.Fuzz()


Target = tuple[Callable[[bytes], None], list[bytes]]


def _decode() -> Target:
    """A value is decoded and written, or refused; nothing else comes out."""
    from datetime import UTC, datetime

    from emotag_worker.cache.fingerprint import Fingerprint
    from emotag_worker.errors import BadRecord
    from emotag_worker.settings import InputSettings
    from emotag_worker.wire.decode import decode
    from emotag_worker.wire.encode import RecordEncoder, TextResult
    from emotag_worker.wire.record import Record
    from tests.mixture import mixture

    kinds = [InputSettings(), InputSettings(format="text"), InputSettings(text_path="a.b")]
    encoder = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0")
    fingerprint = Fingerprint(model="m", secret="k")
    now = datetime.now(UTC)

    def one(value: bytes) -> None:
        record = Record("texts", 0, 7, value[:9], value, [("h", value[:20])], 5)
        for kind in kinds:
            try:
                decoded = decode(record, kind)
            except BadRecord as error:
                encoder.encode_dead_letter(record, error, now)
                continue
            fingerprint(decoded.text)
            written = encoder.encode_result(record, decoded, TextResult((), None, truncated=False, cached=False), now)
            json.loads(written.value or b"")

    return one, [sent.value for sent in mixture(300, seed=1) if sent.value and len(sent.value) < 8_000]


def _entry() -> Target:
    """Bytes of the cache are decoded to an entry with the right number of labels, or to nothing."""
    import numpy as np

    from emotag_worker.cache.entry import Codec, Entry, Seal, quantize, unpack

    codec, seal = Codec(28), Seal()
    entry = Entry(quantize(np.linspace(0, 1, 28, dtype=np.float32)), truncated=True)
    (good,) = seal.seal(["k"], codec.encode([entry]))

    def one(value: bytes) -> None:
        for found in unpack({"k": value}, seal=seal, codec=codec).values():
            assert len(found.probabilities_K) == 28
            assert np.isfinite(found.probabilities_K).all()

    return one, [good, good[:-1], b"", bytes(len(good))]


def _artifact() -> Target:
    """A folder is an artifact or is refused, whatever its small files and the head of its weights contain."""
    import shutil

    from emotag_model import artifact
    from emotag_model.errors import ArtifactError

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
    """Correct the checksums, so that the code behind them is reached."""
    import hashlib

    names = [path.name for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def _tokens() -> Target:
    """Texts get the same tokens with and without the library, whatever the window, and each is inside of its text."""
    from unittest import mock

    from emotag_model import artifact
    from emotag_model.engines.native import library
    from emotag_model.tokens import Tokens, normalize
    from tests.mixture import mixture

    tokenizer = artifact.load(artifact.DEFAULT).tokenizer
    windows = (2, 3, 9, 128)
    fast = [Tokens(tokenizer, max_tokens=window) for window in windows]
    with mock.patch.object(library, "is_compiled", return_value=False):
        plain = [Tokens(tokenizer, max_tokens=window) for window in windows]

    def one(value: bytes) -> None:
        texts = value[1:].decode(errors="surrogateescape").split("\n")  # bytes that are not UTF-8 become surrogates
        window = value[0] % len(windows) if value else 0
        found = fast[window](texts)
        assert plain[window](texts) == found
        for text, ids, offsets in zip(texts, found, fast[window].locate(texts), strict=True):
            assert len(ids.ids) == len(offsets)
            assert all(0 <= start < end <= len(normalize(text)) for start, end in offsets[1:-1].tolist())

    return one, [bytes([number % 4]) + sent.value for number, sent in enumerate(mixture(300, seed=1)) if sent.value]


if __name__ == "__main__":
    sys.exit(main())
