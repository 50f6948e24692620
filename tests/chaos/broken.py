"""Broken functions: each takes the original one, and returns one that breaks a promise. `mutations.py` lists them."""

from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def commit_first(write: Function) -> Function:
    def broken(self: Any, records: Any, offsets: Any, group: Any, **keywords: Any) -> None:
        group.commit(offsets)
        write(self, records, offsets, group, **keywords)

    return broken


def skip_offsets(retry: Function) -> Function:
    from emotag_worker.kafka.output.sink import Step

    def broken(self: Any, doing: str, *args: Any, **keywords: Any) -> None:
        if doing is not Step.SEND_OFFSETS:
            retry(self, doing, *args, **keywords)

    return broken


def do_nothing(_: Function) -> Function:
    return lambda *args, **keywords: None


def refuse_topic(_: Function) -> Function:
    from emotag_worker.errors import DeliveryRefused

    def broken(self: Any, written: Any, answers: Any, guilty: Any) -> Any:
        for refusal in guilty.values():
            raise DeliveryRefused(refusal.topic, refusal.reason)
        return {}

    return broken


def forget_points(refine: Function) -> Function:
    return lambda self, *args: (self.__init__(), refine(self, *args))[1]


def accuse_all(_: Function) -> Function:
    return lambda refused, *args, **keywords: dict(refused)


def trust_lengths(open_: Function) -> Function:
    """Accept entries of another length that are authenticated: cut or fill them up."""

    def broken(self: Any, key: str, raw: bytes, *, size: int) -> Any:
        body = raw[:-8]
        if self.seal([key], [body]) == [raw]:
            (raw,) = self.seal([key], [body.ljust(size, b"\0")[:size]])
        return open_(self, key, raw, size=size)

    return broken


def trust_bits(open_: Function) -> Function:
    """Accept entries of the correct length that are not authenticated."""

    def broken(self: Any, key: str, raw: bytes, *, size: int) -> Any:
        if len(raw) == size + 8:
            (raw,) = self.seal([key], [raw[:size]])
        return open_(self, key, raw, size=size)

    return broken


def name_no_takeover(_: Function) -> Function:
    from emotag_worker.errors import StopWorker

    return lambda doing, error: StopWorker(error.str())


def finish(_: Function) -> Function:
    def broken(self: Any) -> dict[Any, int]:
        self.finish()
        return {}

    return broken


def skip_to_the_end(find_gap: Function) -> Function:
    from emotag_worker.kafka.input.gap import Gap

    def broken(position: int, *, end: int, **keywords: Any) -> Any:
        found = find_gap(position, end=end, **keywords)
        return None if found is None else Gap(found.kind, position, end, found.offsets)

    return broken


def delay(_: Function) -> Function:
    """Let every batch wait for the interval."""
    return lambda self, now, **_: self._interval_s if self.completed else float("inf")


def forget(_: Function) -> Function:
    def broken(self: Any) -> None:
        self.forget()

    return broken


def reject_all(_: Function) -> Function:
    def broken(self: Any, texts: Any) -> Any:
        import numpy as np

        failure: Exception = ArithmeticError("not a finite number")
        try:
            probabilities_BK = self.probabilities(texts)
            if np.isfinite(probabilities_BK).all():
                return probabilities_BK, {}
        except Exception as error:  # noqa: BLE001
            failure = error
        return np.zeros((len(texts), len(self.labels)), np.float32), dict.fromkeys(range(len(texts)), failure)

    return broken


def ignore_headers(_: Function) -> Function:
    return lambda record: len(record.value or b"")


def tokenize_at_once(_: Function) -> Function:
    def broken(tagger: Any, texts: Any) -> Any:
        return dict(zip(texts, tagger.tokenize(list(texts.values())), strict=True)), {}

    return broken


def never_sample(make: Function) -> Function:
    def broken(self: Any, *, most: int, **_: Any) -> None:
        make(self, most=most, can_read=lambda: False)

    return broken


def ignore_records(_: Function) -> Function:
    def broken(self: Any, partition: Any, end: int) -> bool:
        return bool(self._committed.get(partition, -1) < end)

    return broken


def take_all(take_turn: Function) -> Function:
    """Take all records of a partition in one turn."""
    return lambda self, queue, taken, count, max_bytes: take_turn(self, queue, taken, len(queue.records), max_bytes)


def skip_all(_: Function) -> Function:
    return lambda first, end, attempt: end


def count_once(_: Function) -> Function:
    """Share the partitions that the topic had at the start."""
    return lambda self, partition: None if self.partitions is None else partition % self.partitions


def fit_the_longest(_: Function) -> Any:
    return property(lambda self: int(self.lengths_B.max()))


def always(_: Function) -> Function:
    return lambda *args, **keywords: True


def never(_: Function) -> Function:
    return lambda *args, **keywords: False
