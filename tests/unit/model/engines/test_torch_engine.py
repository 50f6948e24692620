"""The model by torch on a CPU."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from emotag_model.artifact import Artifact
from emotag_model.engines.packing import Packed
from emotag_model.engines.torch_engine import TorchEngine, list_warm_up_sizes
from emotag_model.errors import DeviceUnknown


@pytest.mark.parametrize(("precision", "tokens"), [("fp32", 16), ("bf16", 64), ("int8", 16)])
def test_computed_tokens_include_the_filling(
    tiny_artifact: Callable[[], Artifact],
    precision: str,
    tokens: int,
) -> None:
    """A low precision fills the row up, since its kernels are compiled per shape."""
    engine = TorchEngine(tiny_artifact(), device="cpu", precision=precision)  # type: ignore[arg-type]
    assert (1, 3) == engine.probabilities([[2, 5, 3]]).shape
    assert tokens == engine.computed_tokens


def test_no_texts_give_no_rows(tiny_artifact: Callable[[], Artifact]) -> None:
    assert (0, 3) == TorchEngine(tiny_artifact(), device="cpu", precision="fp32").probabilities([]).shape


def test_int8_is_imitated_on_a_cpu_only(tiny_artifact: Callable[[], Artifact]) -> None:
    with pytest.raises(DeviceUnknown, match="'int8' is not available on cuda with torch; use auto, fp32"):
        TorchEngine(tiny_artifact(), device="cuda", precision="int8")


ROWS = [[2, *[5] * (number % 7), 3] for number in range(40)]
PATIENCE_S = 30.0


@pytest.fixture
def engine(tiny_artifact: Callable[[], Artifact]) -> TorchEngine:
    """An engine on the CPU that forms batches of at most 32 tokens."""
    made = TorchEngine(tiny_artifact(), device="cpu", precision="fp32")
    made.batch_tokens = 32
    return made


def test_threads_get_their_own_results_and_every_token_is_counted(engine: TorchEngine) -> None:
    expected = engine.probabilities(ROWS)
    once = engine.computed_tokens
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(engine.probabilities, ROWS) for _ in range(12)]
    for call in calls:
        assert np.array_equal(expected, call.result())
    assert 13 * once == engine.computed_tokens


def test_one_call_launches_while_another_waits_for_the_device(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both calls meet at the barrier: with one call at a time, the first would wait alone."""
    both = threading.Barrier(2, timeout=PATIENCE_S)
    monkeypatch.setattr(engine, "_mark_end", lambda: both.wait)
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(engine.probabilities, ROWS) for _ in range(2)]
    assert [(40, 3)] * 2 == [call.result().shape for call in calls]


def test_the_batches_of_two_calls_are_never_launched_at_the_same_time(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a GPU needs the working memory of one batch."""
    forward, launched = engine._forward, list[int]()

    def note(batch: Packed) -> Tensor:
        launched.append(threading.get_ident())
        return forward(batch)

    monkeypatch.setattr(engine, "_forward", note)
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def call() -> None:
        together.wait()
        engine.probabilities(ROWS)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(call) for _ in range(2)]:
            done.result()
    changes = sum(one != other for one, other in pairwise(launched))
    assert (2, 1) == (len(set(launched)), changes)


def test_a_failed_batch_leaves_no_tensor_behind(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while its error is handled: out of memory, `recover` could otherwise release nothing."""
    held: list[weakref.ref[Tensor]] = []

    def fail(batch: Packed) -> Tensor:
        working_memory = torch.zeros(len(batch.ids_T))
        held.append(weakref.ref(working_memory))
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine, "_forward", fail)
    with pytest.raises(torch.OutOfMemoryError) as error:
        engine.probabilities(ROWS)
    assert error.value.__traceback__ is not None
    assert held[0]() is None


def test_after_an_error_the_engine_computes_again(engine: TorchEngine) -> None:
    with pytest.raises(IndexError):
        engine.probabilities([[10**6]])
    assert (40, 3) == engine.probabilities(ROWS).shape


def test_the_warm_up_computes_the_largest_batches_that_are_ever_planned(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most tokens, in the shortest texts and in the longest."""
    forward, shapes = engine._forward, list[tuple[int, int]]()

    def note(batch: Packed) -> Tensor:
        shapes.append((int(batch.lengths_B.sum()), len(batch.lengths_B)))
        return forward(batch)

    monkeypatch.setattr(engine, "_forward", note)
    engine.batch_tokens = 4_096
    engine._warm_up()
    window = engine._window
    assert {(4_096, 2_048), (4_096 // window * window, 4_096 // window)} <= set(shapes)
    assert 4_096 == max(tokens for tokens, _ in shapes)


def test_a_gpu_with_little_memory_gets_smaller_batches(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = engine._forward

    def fit(batch: Packed) -> Tensor:
        if len(batch.ids_T) > 300:
            raise torch.OutOfMemoryError
        return forward(batch)

    monkeypatch.setattr(engine, "_forward", fit)
    engine.batch_tokens = 4_096
    engine._warm_up()
    assert 256 == engine.batch_tokens
    assert (2_000, 3) == engine.probabilities([[2, 3]] * 2_000).shape


@pytest.mark.parametrize("most", [1, 16, 65_536, 50_000])
def test_the_last_round_of_the_warm_up_has_the_most_tokens(most: int) -> None:
    sizes = list_warm_up_sizes(most)
    assert most == sizes[-1]
    assert all(larger <= 5 * smaller for smaller, larger in pairwise(sizes))


def test_results_are_read_after_the_device_has_finished(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU copies them to the host in the background."""
    copies: list[Tensor] = []

    def launch(batch: Packed) -> tuple[Tensor]:
        copies.append(torch.zeros(len(batch.lengths_B), 3))
        return (copies[-1],)

    monkeypatch.setattr(engine, "_launch", launch)
    monkeypatch.setattr(engine, "_mark_end", lambda: lambda: [copy.fill_(1.0) for copy in copies])
    assert (engine.probabilities(ROWS) == 1.0).all()
