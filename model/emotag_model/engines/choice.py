"""The choice of engine and precision.

On a CPU with AVX2 it is `native` in int8, if the model's metrics allow int8. Nothing is measured, and replicas on
different processors compute the same bits.

Otherwise it is measured once per machine and model, because processor flags mislead. For example, bf16 is four times as
fast as fp32 on a CPU with AMX, and half as fast on a CPU with only `avx512_bf16`. A separate process measures, so that
neither the losing engines nor torch stay in the worker's memory. The choice is stored in the user's cache folder, and
later starts read it from there. To measure again, delete the file; to use something else, set engine and precision.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.errors import DeviceUnknown, explain_install
from emotag_model.files import find_cache_folder

from .device import count_usable_cores, describe_processor, list_instructions
from .measurement import PATIENCE_S, Candidate, Timings, measure_in_process, pick_best
from .native import library
from .precision import ENGINES, GPU_PRECISIONS, PRECISIONS, EngineName, PrecisionName, is_tolerable
from .protocol import ENGINE_KINDS, find_engines, is_possible, require_engine, require_support

MEASURED_PACKAGES = ("openvino", "torch")
"""If the version of one of these changes, the engines are measured again."""

FILE_FORMAT = 2
"""The format of the stored choice, and the rule that makes it. Increase the number when one of them changes."""

Name = TypeVar("Name", bound=str)

How = Literal["named", "only", "preferred", "measured", "remembered", "default"]


@dataclass(frozen=True)
class Choice:
    """An engine and a precision, and how they were chosen.

    Attributes:
        timings_ms: the measured time of each candidate, in milliseconds; empty if nothing was measured.
        how: `named` by the user; the `only` possible one; `preferred` to all others; `measured`; `remembered` from an
            earlier start; or `default`: the usual winner on a processor with these instructions, because nothing could
            be measured.
        reason: for `default`, why nothing was measured and what the user can do; otherwise empty.
    """

    engine: EngineName
    precision: PrecisionName
    timings_ms: Timings
    how: How
    reason: str = ""


def ignore_measurement() -> None:
    """Do nothing before a measurement: the default of `choose`."""


def choose(
    trained: Artifact,
    *,
    device: str,
    engine: str,
    precision: str,
    before_measuring: Callable[[], None] = ignore_measurement,
) -> Choice:
    """Return the engine and precision named; for each that is `auto`, the one to use on *device*.

    Args:
        before_measuring: called before a measurement, which takes up to `PATIENCE_S` seconds and happens once per
            machine and model.

    Raises:
        DeviceUnknown: there is no such engine or precision, or none is installed that supports this model.
    """
    found = find_candidates(trained, device=device, engine=engine, precision=precision)
    return found if isinstance(found, Choice) else _choose_fastest(trained, found, before_measuring)


def find_candidates(trained: Artifact, *, device: str, engine: str, precision: str) -> Choice | list[Candidate]:
    """Return the choice if no measurement is necessary; otherwise the candidates to measure.

    Raises:
        DeviceUnknown: as for `choose`.
    """
    named_engine = _parse_name("engine", engine, ENGINES)
    named_precision = _parse_name("precision", precision, tuple(PRECISIONS))
    engines = _choose_engines(trained.config, device, named_engine)
    if named_precision is not None:
        able = [name for name in engines if name in PRECISIONS[named_precision].engines]
        if not able:
            raise DeviceUnknown(
                _explain_precision(
                    named_precision,
                    f"on {device} with {' or '.join(engines)}",
                    [name for name, row in PRECISIONS.items() if not set(engines).isdisjoint(row.engines)],
                )
            )
        engines = able
    if device != "cpu":
        return Choice(engines[0], named_precision or _choose_gpu_precision(engines[0]), {}, "only")
    if named_engine == "native":
        return Choice("native", "int8", {}, "named")
    if "native" in engines:
        if library.is_fast() and (named_precision or is_tolerable("int8", trained.metrics)):
            return Choice("native", "int8", {}, "preferred")
        if named_precision is None and len(engines) > 1:
            engines.remove("native")  # correct here, but slower than any other, or too coarse for this model
    candidates = _list_candidates(engines, named_precision, trained.metrics)
    if not candidates:
        assert named_precision is not None  # every engine computes fp32 on every processor
        raise DeviceUnknown(
            _explain_precision(
                named_precision,
                f"on this processor with {' or '.join(engines)}",
                [name for name in PRECISIONS if any(is_possible(each, name) for each in engines)],
            )
        )
    if named_engine is not None and named_precision is not None:
        return Choice(named_engine, named_precision, {}, "named")
    if len(candidates) == 1:
        return Choice(*candidates[0], {}, "only")
    return candidates


def _explain_precision(precision: PrecisionName, where: str, available: Sequence[str]) -> str:
    """Return the message for a precision that does not run *where*."""
    needs = PRECISIONS[precision].instructions
    instructions = f" (needs the instructions {' or '.join(sorted(needs))})" if needs and "processor" in where else ""
    return f"precision {precision!r} is not available {where}{instructions}; use auto, {', '.join(available)}"


def _parse_name(kind: str, name: str, known: Sequence[Name]) -> Name | None:
    """Return the name if it is known, None for `auto`."""
    if name == "auto":
        return None
    for each in known:
        if each == name:
            return each
    raise DeviceUnknown(f"{kind} {name!r} is unknown; use auto, {', '.join(known)}")


def _choose_engines(config: ModelConfig, device: str, engine: EngineName | None) -> list[EngineName]:
    """Return the engine named, or all that are installed for this model and device."""
    if engine is not None:
        require_engine(engine, device)
        require_support(engine, config)
        return [engine]
    if engines := find_engines(device, config):
        return engines
    if ENGINE_KINDS["openvino"].supports(config):
        raise DeviceUnknown(f"OpenVINO is not installed; {explain_install('cuda')}")
    raise DeviceUnknown(f"this model needs torch, which is not installed; {explain_install('cuda')}")


def _choose_gpu_precision(engine: EngineName) -> PrecisionName:
    return next(precision for precision in GPU_PRECISIONS if engine in PRECISIONS[precision].engines)


def _list_candidates(
    engines: Sequence[EngineName], precision: PrecisionName | None, metrics: Mapping[str, Any]
) -> list[Candidate]:
    """Return each engine with the precision named, or with each one that `auto` may choose on this processor."""
    automatic = [name for name, row in PRECISIONS.items() if row.worth is not None and is_tolerable(name, metrics)]
    precisions = automatic if precision is None else [precision]
    return [(engine, name) for engine in engines for name in precisions if is_possible(engine, name)]


def _choose_fastest(trained: Artifact, candidates: Sequence[Candidate], before_measuring: Callable[[], None]) -> Choice:
    """Return the stored choice; without one, measure the candidates and store the choice.

    Two consecutive starts never differ: a measurement that fails or takes too long is stored as a choice too, and if
    nothing can be stored, nothing is measured.
    """
    if trained.path is None:
        return _choose_default(candidates, "an artifact without a folder is not measured")
    file = _find_choice_file(trained, candidates)
    if remembered := _read_choice(file, candidates):
        return remembered
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
    except OSError as error:
        return _choose_default(
            candidates,
            f"the choice cannot be stored in {file.parent} ({error.strerror}), so nothing was measured; make the "
            "folder writable, or set engine and precision",
        )
    try:
        before_measuring()
        timings_ms = measure_in_process(trained.path, candidates)
        if timings_ms:
            choice = Choice(*pick_best(timings_ms, candidates), timings_ms, "measured")
        else:
            reason = f"the measurement did not finish (limit: {PATIENCE_S:g} s)"
            choice = _choose_default(
                candidates, f"{reason}; to measure again, delete {file}, or set engine and precision"
            )
        return _store_choice(file, draft, choice, candidates)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _choose_default(candidates: Sequence[Candidate], reason: str) -> Choice:
    """Return the candidate that a measurement usually chooses on a processor with these instructions."""
    present = set(list_instructions())
    usual = [each for each in candidates if not PRECISIONS[each[1]].usual_with.isdisjoint(present)]
    return Choice(*(usual or candidates)[0], {}, "default", reason)


def _find_choice_file(trained: Artifact, candidates: Sequence[Candidate]) -> Path:
    """Return the file that stores the choice for this processor, model and versions."""
    known = [
        FILE_FORMAT,
        describe_processor(),
        count_usable_cores(),
        trained.version,
        *map(_read_version, MEASURED_PACKAGES),
        list(candidates),
    ]
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
    return find_cache_folder() / f"engine-{digest}.json"


def _read_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # not installed, or distributed under another name
        return ""


def _read_choice(file: Path, candidates: Sequence[Candidate]) -> Choice | None:
    """Return the stored choice; None if there is none that can be used."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        timings_ms = {str(name): float(ms) for name, ms in stored["timings_ms"].items()}
        candidate = next(each for each in candidates if list(each) == [stored["engine"], stored["precision"]])
    except (OSError, ValueError, KeyError, AttributeError, TypeError, StopIteration):
        return None
    return Choice(*candidate, timings_ms, "remembered")


def _store_choice(file: Path, draft: Path, choice: Choice, candidates: Sequence[Candidate]) -> Choice:
    """Store the choice and return it; if another process was first, return the other's choice.

    If the disk is full, nothing is stored.
    """
    stored = {"engine": choice.engine, "precision": choice.precision, "timings_ms": dict(choice.timings_ms)}
    try:
        draft.write_text(json.dumps(stored), encoding="utf-8")
        file.hardlink_to(draft)
    except FileExistsError:
        if first := _read_choice(file, candidates):
            return first
        with contextlib.suppress(OSError):  # the file is corrupt
            draft.replace(file)
    except (OSError, NotImplementedError):  # a file system without hard links, or a full disk
        with contextlib.suppress(OSError):
            draft.replace(file)
    return choice
