"""The engine on a GPU, and the host's side of the stream beside it: `python benchmarks/gpu.py`.

It runs from the bare tree, with torch, numpy, tokenizers and safetensors; no broker, no network, no other library.
"""

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: its own folder is no place to import from, the project's is
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks import ceiling, gpu_goals, host, machine, report, results
from benchmarks.results import Results, Row
from model import artifact
from model.artifact import Artifact
from model.config import ModelConfig
from model.device import usable_cores
from model.distilbert_cnn import DistilBertCNN
from model.tagger import EmotionTagger
from model.tokens import TokenIds, pad
from model.torch_engine import DTYPES

TABLE = "gpu"
ROOT = Path(__file__).resolve().parents[1]
DEV = ROOT.parent / "shared" / "data" / "goemotions" / "dev.tsv"
SAMPLES = ROOT / "worker" / "samples.txt"
SHORT_TOKENS = gpu_goals.SHORT_TOKENS
MOST_TEXTS = 131_072
STEPS = (256, 8_192)
"""Records of one step: few, and what keeps a GPU busy."""
RIVALS_BATCHES = (64, 256, 1_024)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    asked = _parser().parse_args(arguments)
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; python benchmarks/gpu.py --device cpu --quick shows that it runs")
    if asked.device == "cpu":
        torch.set_num_threads(usable_cores())
    found = measure(asked.device, quick=asked.quick)
    stem = f"{'quick-' * asked.quick}gpu-" + re.sub(r"\W+", "-", found.machine["device"]).strip("-").lower()
    results.save(found, asked.out / f"{stem}.json")
    (asked.out / f"{stem}.md").write_text(report.render(found), encoding="utf-8")
    sys.stdout.write(report.render(found))
    return 0


def measure(device: str, *, quick: bool) -> Results:
    """Both models on *device*, with short texts and with real ones, and the worker's host side."""
    seconds = 0.05 if quick else 1.5
    on_gpu = device.startswith("cuda")
    texts = _texts()[: 64 if quick else None]
    precision = "auto" if on_gpu else "fp32"
    shipped = artifact.load(artifact.DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        large = _full_size(shipped, layers=1 if quick else 6)
        artifact.save(large, Path(folder), card="Random weights, to measure speed with.\n")
        models = {
            "emotag-mini": (EmotionTagger.load(on=device, engine="torch", precision=precision), shipped),
            gpu_goals.LARGE if not quick else "one layer": (
                EmotionTagger.load(folder, on=device, engine="torch", precision=precision),
                large,
            ),
        }
    peaks = _peaks(device, on_gpu=on_gpu, seconds=seconds / 3, quick=quick)
    rows = [*peaks.values()]
    peak = peaks["bf16" if on_gpu else "fp32"]
    for name, (tagger, trained) in models.items():
        short = _short(trained.config, 64 if quick else 8_192)
        for kind, tokens in ((gpu_goals.SHORT, short), ("real lengths", tagger.tokenise(texts))):
            _say(f"{name}, {kind} …")
            rows += _engine(f"{name}, {kind}", tagger, trained.config, tokens, peak, seconds=seconds, quick=quick)
            rows.append(_transformers(f"{name}, {kind}", trained, tagger, tokens, rows[-3], quick=quick))
        rows.append(_forward(f"{name}, {gpu_goals.SHORT}, forward alone", trained, tagger, short, peak, quick=quick))
    missing = []
    for name, (tagger, _) in models.items():
        _say(f"{name}, host …")
        try:
            rows += _host(name, tagger, texts, seconds=seconds, quick=quick)
        except ImportError as error:
            missing.append(f"the host's side of the stream: {error}")
            break
    described = {**machine.describe(), "device": torch.cuda.get_device_name(device) if on_gpu else "cpu"}
    command = f"python benchmarks/gpu.py --device {device}{' --quick' * quick}"
    return Results(described, command, rows, gpu_goals.goals(rows) if on_gpu else [], missing)


def _peaks(device: str, *, on_gpu: bool, seconds: float, quick: bool) -> dict[str, Row]:
    """Matrix multiplication alone, by precision."""
    peaks = {}
    for precision in ("bf16", "fp16") if on_gpu else ("fp32",):
        sizes = (ceiling.GPU_SIZES if on_gpu else ceiling.SIZES)[: 1 if quick else None]
        rates = [ceiling.matmul_rate(precision, device=device, seconds=seconds, sizes=sizes) / 1e12 for _ in range(3)]
        name = f"matrix multiplication alone, {precision}"
        peaks[precision] = Row(TABLE, name, statistics.median(rates), "TFLOP/s", min(rates), max(rates))
    return peaks


def _engine(
    name: str,
    tagger: EmotionTagger,
    config: ModelConfig,
    tokens: Sequence[TokenIds],
    peak: Row,
    *,
    seconds: float,
    quick: bool,
) -> list[Row]:
    """Texts, tokens and operations a second: of everything the tagger does, padding and copying included."""
    some = list(tokens[:4] if quick else tokens)
    tagger.probabilities(some)  # kernels and memory
    began = time.perf_counter()
    tagger.probabilities(some)
    taken_s = time.perf_counter() - began
    some = (some * max(1, min(int(seconds / taken_s), MOST_TEXTS // len(some))))[:MOST_TEXTS]
    lengths = [len(text.ids) for text in some]
    rates = []
    for _ in range(2 if quick else 5):
        began = time.perf_counter()
        tagger.probabilities(some)
        rates.append(len(some) / (time.perf_counter() - began))
    median, low, high = statistics.median(rates), min(rates), max(rates)
    per_text, flops = sum(lengths) / len(lengths), ceiling.flops(config, lengths) / len(lengths) / 1e12
    done = median * flops
    note = f"{tagger.precision}, {per_text:.1f} tokens a text"
    return [
        Row(TABLE, name, median, "texts/s", low, high, note=note),
        Row(TABLE, name, median * per_text, "tokens/s", low * per_text, high * per_text),
        Row(TABLE, name, done, "TFLOP/s", low * flops, high * flops, done / peak.value, peak.name),
    ]


@torch.inference_mode()
def _transformers(
    name: str, trained: Artifact, tagger: EmotionTagger, tokens: Sequence[TokenIds], ours: Row, *, quick: bool
) -> Row:
    """The same model as most would run it: transformers' DistilBERT, sorted by length, padded to a batch's longest.

    In the same precision, from the same token ids, at the best of three sizes of batch.
    """
    from transformers import DistilBertConfig, DistilBertModel

    config, device, dtype = trained.config, tagger.device, DTYPES[tagger.precision]
    shape = {
        key: getattr(config, key) for key in ("vocab_size", "max_position_embeddings", "dim", "n_layers", "n_heads")
    }
    trunk: torch.nn.Module = DistilBertModel(DistilBertConfig(**shape, hidden_dim=config.hidden_dim))
    trunk.to(device, dtype).eval()
    model = DistilBertCNN.of(config, trained.weights).to(device, dtype)
    some = sorted((text.ids for text in (tokens[:8] if quick else list(tokens) * 4)), key=len)

    def rate(batch: int) -> float:
        began, launched = time.perf_counter(), []
        for start in range(0, len(some), batch):
            ids_BL, mask_BL = (
                torch.from_numpy(x).to(device) for x in pad(some[start : start + batch], pad_id=config.pad_token_id)
            )
            hidden_BLC = trunk(ids_BL, attention_mask=mask_BL).last_hidden_state
            launched.append(torch.sigmoid(model.head(hidden_BLC, mask_BL)))
        for probabilities_BK in launched:
            probabilities_BK.cpu()
        return len(some) / (time.perf_counter() - began)

    best = max(RIVALS_BATCHES[: 1 if quick else None], key=lambda batch: max(rate(batch) for _ in range(2)))
    rates = [rate(best) for _ in range(2 if quick else 5)]
    median = statistics.median(rates)
    note = f"{tagger.precision}, batches of {best}"
    return Row(
        TABLE,
        f"{name}, by transformers",
        median,
        "texts/s",
        min(rates),
        max(rates),
        median / ours.value,
        ours.name,
        note,
    )


def _host(name: str, tagger: EmotionTagger, texts: Sequence[str], *, seconds: float, quick: bool) -> list[Row]:
    """The worker without a broker, in small and in large steps."""
    rows = []
    for step in STEPS[:1] if quick or tagger.device == "cpu" else STEPS:
        some = texts[:8] if quick else (list(texts) * (1 + step * 4 // len(texts)))[: step * 4]
        rows += host.measure(tagger, some, step=min(step, max(4, len(some) // 4)), repeats=2 if quick else 5)
    return [Row(row.table, f"{name}: {row.name}", row.value, row.unit, row.low, row.high) for row in rows]


@torch.inference_mode()
def _forward(
    name: str, trained: Artifact, tagger: EmotionTagger, tokens: Sequence[TokenIds], peak: Row, *, quick: bool
) -> Row:
    """The reference forward with its batch on the device already: what of the engine's time is the device's own."""
    some = tokens[: 4 if quick else 3_072]
    ids_BL = torch.tensor([text.ids for text in some], device=tagger.device)
    mask_BL = torch.ones_like(ids_BL, dtype=torch.bool)
    model = DistilBertCNN.of(trained.config, trained.weights).to(tagger.device, DTYPES[tagger.precision])
    model(ids_BL, mask_BL)
    repeats = 1 if quick else 20
    rates = []
    for _ in range(3):
        ceiling.wait(tagger.device)
        began = time.perf_counter()
        for _ in range(repeats):
            model(ids_BL, mask_BL)
        ceiling.wait(tagger.device)
        work = repeats * ceiling.flops(trained.config, [SHORT_TOKENS] * len(some)) / 1e12
        rates.append(work / (time.perf_counter() - began))
    median = statistics.median(rates)
    return Row(TABLE, name, median, "TFLOP/s", min(rates), max(rates), median / peak.value, peak.name)


def _full_size(shipped: Artifact, *, layers: int) -> Artifact:
    """The dimensions of distilbert-base and random weights, that give a text about as many emotions as others do.

    Speed does not ask which ones, but a worker does ask how many there are to write.
    """
    shape = {**vars(shipped.config), "dim": 768, "n_layers": layers, "n_heads": 12, "hidden_dim": 3072}
    torch.manual_seed(0)
    model = DistilBertCNN(ModelConfig(**shape))
    assert shipped.reference is not None
    rates_K = torch.tensor([shipped.reference.label_rates[label] for label in shipped.config.labels])
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.logit(rates_K))
    return Artifact("distilbert-size", model.config, model.weights(), shipped.tokenizer, shipped.thresholds, {}, {})


def _short(config: ModelConfig, count: int) -> list[TokenIds]:
    """Texts of SHORT_TOKENS tokens, no two alike."""
    draw = random.Random(0)  # noqa: S311  (no secret)
    return [
        TokenIds((101, *(draw.randrange(1_000, config.vocab_size) for _ in range(SHORT_TOKENS - 2)), 102), False)
        for _ in range(count)
    ]


def _texts() -> list[str]:
    """GoEmotions' dev split where it lies beside the project, the project's samples otherwise."""
    if DEV.is_file():
        return [line.partition("\t")[0] for line in DEV.read_text(encoding="utf-8").splitlines()]
    return [line for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line.strip()]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the engine on a GPU, and the host beside it.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to see that it runs")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="the folder that the results go to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
