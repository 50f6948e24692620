"""The directory of a trained model. Whoever reads or writes one does it here.

    config.json         format, name, the shape of the model, its labels in order
    model.safetensors   weights (fp16 as shipped); nothing here is ever unpickled
    tokenizer.json      the tokenizer, whole
    thresholds.json     one threshold per label, and where they came from
    metrics.json        what was measured on dev with these thresholds, written by whatever chose them
    reference.json      score and length histograms on dev, label rates of train: what drift is told from; may be absent
    training.json       command, seed, data hashes and versions that made it
    README.md           the model card
    SHA256SUMS          the hash of every file above; `sha256sum -c SHA256SUMS` checks it without emotag

Two hashes name a model: `version` covers what decides probabilities (config, weights, tokenizer), `thresholds_version`
what decides labels. So a cache of probabilities outlives new thresholds, and never new weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from tokenizers import Tokenizer

from . import weights as weights_
from .config import ModelConfig
from .reference import Reference
from .thresholds import Thresholds
from .weights import DTYPES, Array

FORMAT = "emotag-artifact"
FORMAT_VERSION = 1
DEFAULT = Path(__file__).parent / "artifacts" / "emotag-mini"

CONFIG, WEIGHTS, TOKENIZER, THRESHOLDS = "config.json", "model.safetensors", "tokenizer.json", "thresholds.json"
METRICS, TRAINING, CARD, SUMS = "metrics.json", "training.json", "README.md", "SHA256SUMS"
REFERENCE = "reference.json"
REQUIRED = (CONFIG, WEIGHTS, TOKENIZER, THRESHOLDS)
DECIDES_PROBABILITIES = (CONFIG, WEIGHTS, TOKENIZER)

MOST_BYTES = {
    **dict.fromkeys((CONFIG, THRESHOLDS, METRICS, REFERENCE, TRAINING, CARD, SUMS), 4 * 2**20),
    TOKENIZER: 64 * 2**20,
}
"""No larger file is read: those that ship have kilobytes, the tokenizer 0.5 MB. The weights' limit is what the config's
shapes come to."""


class ArtifactError(Exception):
    """An artifact that must not be served: which file, and why."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


@dataclass(frozen=True)
class Artifact:
    """A trained model, in memory.

    Attributes:
        weights: every parameter by its name, float32, as the config's shapes say.
        reference: what drift is told from; None where the directory has none.
        weights_dtype: how they are stored (`float16`); empty for a model that was not loaded.
        path: where it was loaded from, if it was.
    """

    name: str
    config: ModelConfig
    weights: Mapping[str, Array]
    tokenizer: Tokenizer
    thresholds: Thresholds
    metrics: Mapping[str, Any]
    training: Mapping[str, Any]
    reference: Reference | None = None
    version: str = ""
    thresholds_version: str = ""
    weights_dtype: str = ""
    path: Path | None = None


def load(path: Path) -> Artifact:
    """Read and check an artifact.

    Raises:
        ArtifactError: it is missing, broken, truncated, foreign, or of a newer format.
    """
    sums = _sums(path)
    _verify(path, {name: digest for name, digest in sums.items() if name != WEIGHTS})
    config = _json(path / CONFIG)
    if config.get("format") != FORMAT:
        raise ArtifactError(path / CONFIG, f"this is not an emotag artifact (format {config.get('format')!r})")
    if not isinstance(config.get("format_version"), int):
        raise ArtifactError(path / CONFIG, "format_version is missing or not a whole number")
    if config["format_version"] > FORMAT_VERSION:
        raise ArtifactError(
            path / CONFIG,
            f"format {config['format_version']} is newer than this emotag reads ({FORMAT_VERSION}); upgrade emotag",
        )
    model_config = _model_config(path / CONFIG, config.get("model"))
    _bounded(path / WEIGHTS, weights_.most_bytes(model_config.shapes()))
    _verify(path, {WEIGHTS: sums[WEIGHTS]})
    weights, weights_dtype = _weights(path / WEIGHTS, model_config)
    thresholds = _thresholds(path / THRESHOLDS, model_config.labels, weights_sha256=sums[WEIGHTS])
    return Artifact(
        name=str(config.get("name") or path.name),
        config=model_config,
        weights=weights,
        tokenizer=_tokenizer(path / TOKENIZER, model_config),
        thresholds=thresholds,
        metrics=_json(path / METRICS) if (path / METRICS).is_file() else {},
        training=_json(path / TRAINING) if (path / TRAINING).is_file() else {},
        reference=_reference(path / REFERENCE, model_config.labels) if REFERENCE in sums else None,
        version=_digest(f"{name} {sums[name]}" for name in DECIDES_PROBABILITIES),
        thresholds_version=f"sha256:{sums[THRESHOLDS]}",
        weights_dtype=weights_dtype,
        path=path,
    )


def files(path: Path) -> list[str]:
    """Names of all files that belong to the artifact in this directory: those its checksums list, and they themselves.

    Raises:
        ArtifactError: there is none, or its checksums cannot be read.
    """
    return [*_sums(path), SUMS]


def save(artifact: Artifact, path: Path, *, card: str, dtype: str = "fp16") -> None:
    """Write *artifact* as a directory; an existing one is replaced file by file, its checksums last.

    Args:
        dtype: of the stored weights, one of `weights.DTYPES`.
    """
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": artifact.name,
        "weights_dtype": DTYPES[dtype],
        "model": asdict(artifact.config),
    }
    _write_json(path / CONFIG, config)
    weights_.save(artifact.weights, path / WEIGHTS, dtype=dtype)
    artifact.tokenizer.save(str(path / TOKENIZER), pretty=False)
    _write_json(path / TRAINING, artifact.training)
    save_tuned(artifact, path, card=card)


def save_tuned(artifact: Artifact, path: Path, *, card: str) -> None:
    """Write the thresholds of *artifact*, what speaks of them, and its reference, into its directory; checksums last.

    Figures and card go with the thresholds they were measured at. What decides probabilities is not touched.
    """
    thresholds = artifact.thresholds
    _write_json(
        path / THRESHOLDS,
        {
            "policy": thresholds.policy,
            "data_sha256": thresholds.data_sha256,
            "weights_sha256": _sha256(path / WEIGHTS),
            "thresholds": dict(zip(thresholds.labels, thresholds.values, strict=True)),
        },
    )
    _write_json(path / METRICS, artifact.metrics)
    if artifact.reference is not None:
        _write_json(path / REFERENCE, artifact.reference.written())
    else:  # one of other weights
        (path / REFERENCE).unlink(missing_ok=True)
    (path / CARD).write_text(card, encoding="utf-8")
    _write_sums(path)


def _write_sums(path: Path) -> None:
    files = sorted(file.name for file in path.iterdir() if file.is_file() and file.name != SUMS)
    (path / SUMS).write_text("".join(f"{_sha256(path / name)}  {name}\n" for name in files), encoding="utf-8")


def _sums(path: Path) -> dict[str, str]:
    """{file name: sha256} as the directory lists them; no file is larger than it may be."""
    if not path.is_dir():
        raise ArtifactError(path, "there is no artifact directory here")
    if not (path / SUMS).is_file():
        raise ArtifactError(path / SUMS, "missing, so nothing in this directory can be trusted; export the model again")
    for name, most_bytes in MOST_BYTES.items():
        _bounded(path / name, most_bytes)
    sums: dict[str, str] = {}
    for line in _text(path / SUMS).splitlines():
        digest, _, name = line.partition("  ")
        if not name or "/" in name or len(digest) != 64:
            raise ArtifactError(path / SUMS, f"unreadable line {line[:80]!r}")
        sums[name] = digest
    for name in REQUIRED:
        if name not in sums:
            raise ArtifactError(path / SUMS, f"does not list {name}, which every artifact has")
    return sums


def _verify(path: Path, sums: Mapping[str, str]) -> None:
    """See that each file is there, and has the hash that is listed for it."""
    for name, digest in sums.items():
        if not (path / name).is_file():
            raise ArtifactError(path / name, "missing, though SHA256SUMS lists it")
        if _sha256(path / name) != digest:
            raise ArtifactError(path / name, "broken, truncated or changed: its sha256 is not the one in SHA256SUMS")


def _bounded(path: Path, most_bytes: int) -> None:
    """See that a file is no larger, before any of it is read; one that is not there is another's to miss."""
    try:
        size_bytes = path.stat().st_size
    except OSError:
        return
    if size_bytes > most_bytes:
        raise ArtifactError(path, f"has {size_bytes} bytes, where at most {most_bytes} can belong to an artifact")


def _model_config(path: Path, values: object) -> ModelConfig:
    if not isinstance(values, dict):
        raise ArtifactError(path, "has no model section")
    known = {field.name for field in fields(ModelConfig)}
    unknown = set(values) - known
    if unknown:
        raise ArtifactError(
            path, f"unknown model settings {', '.join(sorted(unknown))}; was it made by a newer emotag?"
        )
    try:
        return ModelConfig(**{**values, "labels": tuple(values.get("labels", ()))})
    except (TypeError, ValueError) as error:
        raise ArtifactError(path, f"does not describe a model: {error}") from error


def _weights(path: Path, config: ModelConfig) -> tuple[dict[str, Array], str]:
    """The weights, and the dtype they are stored in."""
    try:
        weights, dtype = weights_.load(path)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(path, f"not readable as safetensors: {error}") from error
    except ValueError as error:
        raise ArtifactError(path, str(error)) from error
    expected = config.shapes()
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or unknown:
        raise ArtifactError(path, f"other parameters than the model's (missing {missing[:3]}, unknown {unknown[:3]})")
    for name, values in weights.items():
        if values.shape != expected[name]:
            raise ArtifactError(path, f"{name} has shape {list(values.shape)}, the config says {list(expected[name])}")
        if not np.isfinite(values).all():
            raise ArtifactError(path, f"{name} holds values that are not finite numbers")
    return weights, dtype


def _tokenizer(path: Path, config: ModelConfig) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for every kind of bad file
        raise ArtifactError(path, f"not readable as a tokenizer: {error}") from error
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise ArtifactError(path, f"{tokenizer.get_vocab_size()} tokens, the model knows {config.vocab_size}")
    return tokenizer


def _thresholds(path: Path, labels: tuple[str, ...], *, weights_sha256: str) -> Thresholds:
    values = _json(path)
    if values.get("weights_sha256", weights_sha256) != weights_sha256:
        raise ArtifactError(path, f"these are the thresholds of other weights than {WEIGHTS}; export the model again")
    try:
        by_label = {str(label): float(value) for label, value in values["thresholds"].items()}
        if by_label.keys() != set(labels):
            raise ValueError(f"labels {sorted(by_label.keys() ^ set(labels))[:3]} are not on both sides")
        ordered = tuple(by_label[label] for label in labels)
        return Thresholds(labels, ordered, str(values["policy"]), str(values.get("data_sha256", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(path, f"not the model's thresholds: {why}") from error


def _reference(path: Path, labels: tuple[str, ...]) -> Reference:
    try:
        return Reference.read(_json(path), labels)
    except ValueError as error:
        raise ArtifactError(path, f"not what drift of this model can be told from: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(path, f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ArtifactError(path, "not a JSON object")
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(path, f"not readable: {error}") from error


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(path, f"not readable: {error}") from error


def _digest(lines: Any) -> str:
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
