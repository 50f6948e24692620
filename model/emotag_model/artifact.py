"""The directory of a trained model: reading, checking and writing it.

    config.json         format, name, languages, the shape of the model, its labels in order
    model.safetensors   weights (fp16 as shipped); nothing here is ever unpickled
    tokenizer.json      the tokenizer, whole
    thresholds.json     one threshold per label, and how they were chosen
    metrics.json        the figures on dev with these thresholds
    reference.json      score and length histograms on dev, label rates of train; drift is measured from them; optional
    training.json       command, seed, data hashes and versions of the training
    README.md           the model card
    SHA256SUMS          the hash of every file above; `sha256sum -c SHA256SUMS` checks it without emotag

Two hashes identify a model: `version` covers the files that decide probabilities (config, weights, tokenizer),
`thresholds_version` the file that decides labels. So cached probabilities stay valid after new thresholds, but not
after new weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from tokenizers import Tokenizer

from emotag_model.errors import ArtifactError

from . import weights as weights_
from .config import ModelConfig
from .reference_stats import ReferenceStats
from .scope import languages as languages_
from .thresholds import Thresholds
from .weights import DTYPES, Array, StoredWeights

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
"""No larger file is read: the shipped files have kilobytes, the tokenizer 0.5 MB. The limit of the weights follows from
the config's shapes."""


@dataclass(frozen=True)
class Artifact:
    """A trained model, in memory.

    Attributes:
        weights: every parameter by its name, float32, with the config's shapes. If loaded from a file, each access
            converts the parameter.
        reference_stats: statistics for measuring drift; None if the directory has none.
        weights_dtype: the dtype of the stored weights (`float16`); empty for a model that was not loaded.
        languages: the codes of the languages of its training texts. A config without them means English.
        path: the directory it was loaded from, if any.
    """

    name: str
    config: ModelConfig
    weights: Mapping[str, Array]
    tokenizer: Tokenizer
    thresholds: Thresholds
    metrics: Mapping[str, Any]
    training: Mapping[str, Any]
    reference_stats: ReferenceStats | None = None
    version: str = ""
    thresholds_version: str = ""
    weights_dtype: str = ""
    languages: tuple[str, ...] = languages_.DEFAULT
    path: Path | None = None


def load(path: Path) -> Artifact:
    """Read and check an artifact.

    Raises:
        ArtifactError: the directory is missing, damaged, not an artifact, or of a newer format.
    """
    sums = _load_sums(path)
    _verify(path, {name: digest for name, digest in sums.items() if name != WEIGHTS})
    config = _load_json(path / CONFIG)
    if config.get("format") != FORMAT:
        raise ArtifactError(path / CONFIG, f"this is not an emotag model (format {config.get('format')!r})")
    if not isinstance(config.get("format_version"), int):
        raise ArtifactError(path / CONFIG, "format_version is missing or not a whole number")
    if config["format_version"] > FORMAT_VERSION:
        raise ArtifactError(
            path / CONFIG,
            f"format {config['format_version']} is newer than this emotag reads ({FORMAT_VERSION}); upgrade emotag",
        )
    model_config = _parse_config(path / CONFIG, config.get("model"))
    _check_size(path / WEIGHTS, weights_.compute_largest_size(model_config.shapes()))
    weights = _load_weights(path / WEIGHTS, model_config, sha256=sums[WEIGHTS])
    thresholds = _load_thresholds(path / THRESHOLDS, model_config.labels, weights_sha256=sums[WEIGHTS])
    return Artifact(
        name=str(config.get("name") or path.name),
        config=model_config,
        weights=weights,
        tokenizer=_load_tokenizer(path / TOKENIZER, model_config),
        thresholds=thresholds,
        metrics=_load_json(path / METRICS) if (path / METRICS).is_file() else {},
        training=_load_json(path / TRAINING) if (path / TRAINING).is_file() else {},
        reference_stats=_load_reference_stats(path / REFERENCE, model_config.labels) if REFERENCE in sums else None,
        version=_hash_lines(f"{name} {sums[name]}" for name in DECIDES_PROBABILITIES),
        thresholds_version=f"sha256:{sums[THRESHOLDS]}",
        weights_dtype=weights.dtype,
        languages=_parse_languages(path / CONFIG, config.get("languages", languages_.DEFAULT)),
        path=path,
    )


def files(path: Path) -> list[str]:
    """Return the names of all files of the artifact: those that its checksums list, and the file of checksums.

    Raises:
        ArtifactError: there is no artifact, or its checksums cannot be read.
    """
    return [*_load_sums(path), SUMS]


def save(artifact: Artifact, path: Path, *, card: str, dtype: str = "fp16") -> None:
    """Write *artifact* as a directory; an existing one is replaced file by file, its checksums last.

    Args:
        dtype: the dtype of the stored weights, one of `weights.DTYPES`.
    """
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": artifact.name,
        "weights_dtype": DTYPES[dtype],
        "languages": artifact.languages,
        "model": asdict(artifact.config),
    }
    _write_json(path / CONFIG, config)
    weights_.save(artifact.weights, path / WEIGHTS, dtype=dtype)
    artifact.tokenizer.save(str(path / TOKENIZER), pretty=False)
    _write_json(path / TRAINING, artifact.training)
    save_tuned(artifact, path, card=card)


def save_tuned(artifact: Artifact, path: Path, *, card: str) -> None:
    """Write the thresholds, figures, card and statistics of *artifact* into its directory; checksums last.

    The files that decide probabilities stay unchanged.
    """
    thresholds = artifact.thresholds
    _write_json(
        path / THRESHOLDS,
        {
            "policy": thresholds.policy,
            "data_sha256": thresholds.data_sha256,
            "weights_sha256": _hash_file(path / WEIGHTS),
            "thresholds": dict(zip(thresholds.labels, thresholds.values, strict=True)),
        },
    )
    _write_json(path / METRICS, artifact.metrics)
    if artifact.reference_stats is not None:
        _write_json(path / REFERENCE, artifact.reference_stats.to_json())
    else:  # a file from other weights
        (path / REFERENCE).unlink(missing_ok=True)
    (path / CARD).write_text(card, encoding="utf-8")
    _write_sums(path)


def _write_sums(path: Path) -> None:
    files = sorted(file.name for file in path.iterdir() if file.is_file() and file.name != SUMS)
    (path / SUMS).write_text("".join(f"{_hash_file(path / name)}  {name}\n" for name in files), encoding="utf-8")


def _load_sums(path: Path) -> dict[str, str]:
    """Return {file name: sha256} as the directory lists them, after checking that no file is too large."""
    if not path.is_dir():
        reason = "this is not a directory" if path.exists() else "no such directory"
        raise ArtifactError(path, f"{reason}; name the directory of an emotag model")
    if not (path / SUMS).is_file():
        if not any((path / name).is_file() for name in REQUIRED):
            raise ArtifactError(path, f"this is not an emotag model directory: it has no {SUMS} and no {CONFIG}")
        raise ArtifactError(path / SUMS, "missing, so no file here can be trusted; export the model again")
    for name, most_bytes in MOST_BYTES.items():
        _check_size(path / name, most_bytes)
    sums: dict[str, str] = {}
    for line in _load_text(path / SUMS).splitlines():
        digest, _, name = line.partition("  ")
        if not name or "/" in name or len(digest) != 64:
            raise ArtifactError(path / SUMS, f"unreadable line {line[:80]!r}")
        sums[name] = digest
    for name in REQUIRED:
        if name not in sums:
            raise ArtifactError(path / SUMS, f"does not list {name}, which every artifact has")
    return sums


def _verify(path: Path, sums: Mapping[str, str]) -> None:
    """Check that each file exists and has the listed hash."""
    for name, digest in sums.items():
        _require_file(path / name)
        _require_hash(path / name, _hash_file(path / name), digest)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ArtifactError(path, "missing, though SHA256SUMS lists it; copy or export the model again")


def _require_hash(path: Path, found: str, listed: str) -> None:
    if found != listed:
        raise ArtifactError(
            path, "broken, truncated or changed: its sha256 is not the one in SHA256SUMS; copy it again"
        )


def _check_size(path: Path, most_bytes: int) -> None:
    """Check that a file is not too large before any of it is read; `_verify` reports a missing file."""
    try:
        size_bytes = path.stat().st_size
    except OSError:
        return
    if size_bytes > most_bytes:
        raise ArtifactError(path, f"has {size_bytes} bytes; this file of an artifact has at most {most_bytes}")


def _parse_config(path: Path, values: object) -> ModelConfig:
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


def _parse_languages(path: Path, codes: object) -> tuple[str, ...]:
    try:
        if not isinstance(codes, list | tuple):
            raise ValueError(f"{codes!r:.40} is not a list of codes")
        return languages_.check_languages(codes)
    except ValueError as error:
        raise ArtifactError(path, f"languages: {error}") from error


def _load_weights(path: Path, config: ModelConfig, *, sha256: str) -> StoredWeights:
    """Return the weights from a file with this hash. It is read once: no later change can reach the model."""
    _require_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(path, f"not readable: {error}") from error
    _require_hash(path, hashlib.sha256(content).hexdigest(), sha256)
    try:
        weights = weights_.parse(content)
    except SafetensorError as error:
        raise ArtifactError(path, f"not readable as safetensors: {error}") from error
    except ValueError as error:
        raise ArtifactError(path, str(error)) from error
    expected = config.shapes()
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or unknown:
        raise ArtifactError(
            path, f"its parameters are not those of the config (missing {missing[:3]}, unknown {unknown[:3]})"
        )
    for name, shape in expected.items():
        if weights.read_shape(name) != shape:
            raise ArtifactError(
                path, f"{name} has shape {list(weights.read_shape(name))}, the config requires {list(shape)}"
            )
        if not weights.is_finite(name):
            raise ArtifactError(path, f"{name} has values that are not finite numbers")
    return weights


def _load_tokenizer(path: Path, config: ModelConfig) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for every kind of bad file
        raise ArtifactError(path, f"not readable as a tokenizer: {error}") from error
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise ArtifactError(path, f"has {tokenizer.get_vocab_size()} tokens, the model has {config.vocab_size}")
    return tokenizer


def _load_thresholds(path: Path, labels: tuple[str, ...], *, weights_sha256: str) -> Thresholds:
    values = _load_json(path)
    if values.get("weights_sha256", weights_sha256) != weights_sha256:
        raise ArtifactError(path, f"these thresholds belong to other weights than {WEIGHTS}; export the model again")
    try:
        by_label = {str(label): float(value) for label, value in values["thresholds"].items()}
        if by_label.keys() != set(labels):
            raise ValueError(f"labels {sorted(by_label.keys() ^ set(labels))[:3]} are not on both sides")
        ordered = tuple(by_label[label] for label in labels)
        return Thresholds(labels, ordered, str(values["policy"]), str(values.get("data_sha256", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(path, f"not the model's thresholds: {why}") from error


def _load_reference_stats(path: Path, labels: tuple[str, ...]) -> ReferenceStats:
    try:
        return ReferenceStats.from_json(_load_json(path), labels)
    except ValueError as error:
        raise ArtifactError(path, f"not the statistics of this model: {error}") from error


def _load_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_load_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(path, f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ArtifactError(path, "not a JSON object")
    return values


def _load_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(path, f"not readable: {error}") from error


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(path, f"not readable: {error}") from error


def _hash_lines(lines: Any) -> str:
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
