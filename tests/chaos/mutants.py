"""`make mutants`: break a promise in the code on purpose, and see the test that names it turn red.

Each mutant is made in a copy of the tree; the copy's tests run against it.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "build", "*.egg-info", ".mypy_cache", ".ruff_cache", "__pycache__")


@dataclass(frozen=True)
class Mutant:
    """One promise, broken.

    Attributes:
        right, wrong: what stands in the file, once, and what it becomes.
        test: what must fail then.
    """

    name: str
    file: str
    right: str
    wrong: str
    test: str


KILLS = "tests/chaos/test_kills.py"
FLUSH = (
    "        for record in records:\n"
    "            _produce(self._producer, record, self._deadline)\n"
    "        outstanding = self._producer.flush"
)

MUTANTS = (
    Mutant(
        "offsets are committed before the results are written",
        "worker/sink.py",
        FLUSH,
        '        self._deadline.persist("committing offsets", lambda _: group.commit(offsets), again=_commit_again)\n'
        + FLUSH,
        f"{KILLS}::test_at_least_once_a_worker_killed_between_writing_and_committing_has_lost_nothing",
    ),
    Mutant(
        "offsets stay out of the transaction",
        "worker/sink.py",
        "lambda timeout_s: self._producer.send_offsets_to_transaction(positions, metadata, timeout_s)",
        "lambda timeout_s: None",
        f"{KILLS}::test_a_worker_killed_at_any_stage_has_neither_lost_nor_repeated_anything",
    ),
    Mutant(
        "an error of a delivery is swallowed",
        "worker/sink.py",
        "        if self._failures.first is not None:\n            raise StepAborted(self._failures.first[1].str())\n",
        "",
        "tests/unit/test_sink.py",
    ),
    Mutant(
        "the cache's length is trusted",
        "worker/entry.py",
        "        len(raw) == HEAD.size + 2 * labels + 4\n        and raw[0]",
        "        raw[0]",
        "tests/integration/test_cache.py::test_rubbish_is_no_answer",
    ),
    Mutant(
        "the cache's bits are trusted",
        "worker/entry.py",
        '        and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")\n',
        "",
        "tests/integration/test_cache.py::test_rubbish_is_no_answer",
    ),
    Mutant(
        "a worker whose identity was taken over goes on",
        "worker/broker_errors.py",
        "        return Fenced(error.str())\n",
        "        return StopWorker(error.str())\n",
        "tests/unit/test_source.py",
    ),
    Mutant(
        "an aborted step is not read again",
        "worker/pipeline.py",
        "        self._source.rewind(self.forget())\n        time.sleep",
        "        self.forget()\n        time.sleep",
        "tests/unit/test_pipeline.py",
    ),
    Mutant(
        "what is under way is written though its partitions were lost",
        "worker/pipeline.py",
        "        for step in self._under_way:\n"
        "            step.computing.cancel()\n"
        '            step.trace.end("aborted")\n'
        "        self._under_way.clear()\n",
        "        self.finish()\n",
        "tests/unit/test_pipeline.py",
    ),
    Mutant(
        "a failing batch is dead-lettered whole",
        "model/tagger.py",
        "        if len(texts) == 1:\n            self.check_device()",
        "        if True:\n            return np.zeros((len(texts), len(self.labels)), dtype=np.float32), "
        "dict.fromkeys(range(len(texts)), failure)\n            self.check_device()",
        "tests/numerics/test_model.py",
    ),
    Mutant(
        "the group is not polled while the device is slow",
        "worker/pipeline.py",
        "            self._source.stay()",
        "            pass",
        "tests/unit/test_pipeline.py",
    ),
)


def main() -> int:
    """A line for each; 1 where one lives."""
    parser = argparse.ArgumentParser(description="Break promises on purpose.")
    parser.add_argument("-k", default="", help="only those with this in their name")
    wanted = parser.parse_args().k
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.name]
    with _copy() as tree:
        tests = sorted({mutant.test for mutant in mutants})
        if red := _run(tree, *tests):
            raise SystemExit(f"what is to notice is red without any mutant:\n{red}")
    alive = 0
    for mutant in mutants:
        caught = _caught(mutant)
        alive += not caught
        sys.stdout.write(f"{'caught' if caught else 'ALIVE '}  {mutant.name}  ({mutant.test})\n")
        sys.stdout.flush()
    return 1 if alive else 0


def _caught(mutant: Mutant) -> bool:
    with _copy() as tree:
        file = tree / mutant.file
        source = file.read_text(encoding="utf-8")
        if source.count(mutant.right) != 1:
            raise SystemExit(f"{mutant.name}: {mutant.file} holds what it changes {source.count(mutant.right)} times")
        file.write_text(source.replace(mutant.right, mutant.wrong), encoding="utf-8")
        return bool(_run(tree, mutant.test))


@contextlib.contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="emotag-mutant-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        yield tree


def _run(tree: Path, *tests: str) -> str:
    """What tests say that fail; nothing where all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{tests} could not run:\n{done.stdout[-2000:]}")
    return done.stdout[-2000:] if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
