"""Mistakes that people make with `emotag-train`: exit code, one line, the value and its option, and the remedy."""

import shlex
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import datasets
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoModel

from emotag_training.data.table import load_split
from emotag_training.evaluation.thresholds import parse_policy
from emotag_training.presets import parse_changes, resolve
from tests.integration.training.test_training import mistake, run

FIT = "fit --out out --data data"
MISTAKES = [
    ("trian", 2, "No such command 'trian'"),
    ("evaluat", 2, "Did you mean 'evaluate'?"),
    ("fit", 2, "Missing option '--out'"),
    ("fit --ou x", 2, "No such option: --ou"),
    ("fit --out x --epochs two", 2, "schedule.epochs = 'two': it should be a valid integer (default: 5)"),
    (f"{FIT} --set lr=1e-4", 2, "'lr' is not a key of a recipe; did you mean schedule.learning_rate?"),
    (f"{FIT} --set schedule.epoch=2", 2, "'schedule.epoch' is not a key of a recipe; did you mean schedule.epochs?"),
    (f"{FIT} --set zzz=1", 2, "'zzz' is not a key of a recipe; every recipe.toml and docs/train.md list the keys"),
    (f"{FIT} --set schedule.epochs", 2, "--set schedule.epochs: the value is missing; write SECTION.KEY=VALUE"),
    (f"{FIT} --set schedule.epochs=many", 2, "schedule.epochs = 'many': it should be a valid integer (default: 5)"),
    (f"{FIT} --epochs 0", 2, "schedule.epochs = '0': it should be greater than or equal to 1 (default: 5)"),
    (f"{FIT} --set loss.kind=focal", 2, "loss.kind = 'focal': it should be 'bce' or 'asymmetric' (default: 'bce')"),
    (f"{FIT} --precision fp16", 2, "run.precision = 'fp16': it should be 'auto', 'fp32' or 'bf16'"),
    (f"{FIT} --set run.threshold=best", 2, "run.threshold = 'best': it takes f1, precision@P or fixed:T"),
    (f"{FIT} --preset large", 2, "--preset large: unknown; the presets are default, base, reference"),
    (f"{FIT} --config nope.toml", 2, "nope.toml: No such file"),
    (f"{FIT} --track wandb", 2, "--track wandb: unknown; use tensorboard or mlflow"),
    (f"{FIT} --encoder ./nope", 2, "--encoder ./nope: folder not found; name a folder"),
    (f"{FIT} --encoder data", 2, "--encoder data: it has no config.json"),
    (f"{FIT} --device tpu --encoder enc", 2, "device 'tpu' is unknown"),
    (f"{FIT} --set distillation.teacher=nope", 2, "distillation.teacher = 'nope': file not found; write it with"),
    (f"{FIT} --resume", 2, "--out out: no unfinished run to resume; remove --resume"),
    ("fit --out data/dev.csv --data data", 2, "--out data/dev.csv: it is a file; name a directory"),
    ("fit --out data/dev.csv/mine --data data", 2, "data/dev.csv is a file; name a directory"),
    ("fit --out out --data /nope", 2, "--data /nope: folder not found; name a folder with train.csv and dev.csv"),
    (
        "fit --out out --data data/dev.csv",
        2,
        "data/dev.csv has 3 texts: too few to train on some and to measure",
    ),
    ("fit --out out --data data/dev.csv --text-column body", 2, "the first line names no column body (columns: 2)"),
    ("fit --out out --data data/dev.csv --label-columns joy,sad", 2, "no column joy or sad (columns: 2); name the"),
    ("fit --out out --data bad/one_hot.csv", 2, "(only 0 and 1 are in --label-columns joy,anger)"),
    ("fit --out out --data alone", 2, "alone contains no dev.tsv or dev.csv"),
    ("evaluate --model /nope --data data", 2, "/nope: no such directory; name the directory of an emotag model"),
    ("evaluate --model data --data data", 2, "data: this is not an emotag model directory: it has no SHA256SUMS"),
    ("evaluate --model toy --data missing.csv", 2, "--data missing.csv: file not found"),
    ("evaluate --model toy --data missing.xlsx", 2, "--data missing.xlsx: no such file or folder; name a folder with"),
    ("evaluate --model toy --data bad/mine.xlsx", 2, "bad/mine.xlsx: the format .xlsx is unknown; save the table as"),
    ("evaluate --model toy --data data --split bad/mine.xlsx", 2, "bad/mine.xlsx: the format .xlsx is unknown"),
    ("evaluate --model toy --data data --split missing.csv", 2, "missing.csv: file not found"),
    ("evaluate --model toy --data data --split test", 2, "data contains no test.tsv"),
    (
        "evaluate --model toy --data bad/header.csv",
        2,
        "the first line names no column text (columns: 2); name the columns text and labels",
    ),
    ("evaluate --model toy --data bad/quote.csv", 2, "bad/quote.csv, line 2: not CSV"),
    ("evaluate --model toy --data bad/comma.csv", 2, "bad/comma.csv, line 2: it has more columns than the header"),
    ("evaluate --model toy --data bad/label.csv", 2, "bad/label.csv, line 2: 'angry' is not one of the labels 'joy'"),
    ("evaluate --model toy --data bad/empty.csv", 2, "bad/empty.csv"),
    ("compare toy /nope --data data", 2, "/nope: no such directory; name the directory of an emotag model"),
    ("tune --model toy --data data --policy best", 2, "threshold policy 'best' is unknown; use f1, precision@P or"),
    ("tune --model toy --data data --policy precision@2", 2, "'precision@2' needs a number over 0 and up to 1"),
    ("evaluate --model toy --data data --device tpu", 2, "device 'tpu' is unknown; use auto, cpu, cuda or cuda:N"),
    ("distill /nope --data data --out out", 2, "/nope: not found; name a model's directory"),
    ("export --model toy --out out --format tf", 2, "--format: 'tf' is unknown; use artifact or onnx"),
    ("export --model toy --out out --dtype int8", 2, "--dtype: 'int8' is unknown; use"),
    ("export --model toy --out out --format onnx --dtype bf16", 2, "an ONNX graph is fp32, not bf16"),
    ("export --model toy --out toy", 2, "cannot write to --out toy: it is the model itself; name another directory"),
    ("plot --model toy --data data --out toy", 2, "cannot write to --out toy: it is the model itself"),
    ("evaluate --model toy --data goemotions", 1, "goemotions/data/train.tsv: no network; try again, or put"),
    ("evaluate --model toy --data datasets:someone/else", 1, "cannot download datasets:someone/else: no network"),
    (f"{FIT} --encoder someone/else", 1, "cannot download encoder 'someone/else' from https://huggingface.co"),
]

BAD = {
    "header.csv": "txt,label\na,joy\n",
    "quote.csv": 'text,labels\n"a,joy\n',
    "comma.csv": "text,labels\nwell, yes,joy\n",
    "label.csv": "text,labels\na,angry\n",
    "empty.csv": "",
    "one_hot.csv": "text,joy,anger,n\na,1,0,7\nb,0,1,8\n",
    "mine.xlsx": "PK\xff",
}


@pytest.fixture
def workplace(folder: Path, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with texts, a model, an encoder and broken files; without a network."""
    assert toy == tmp_path / "toy"
    for name in ("data", "alone", "bad"):
        (tmp_path / name).mkdir()
    rows = "".join(f"{text},{label}\n" for text, label in (("glad", "joy"), ("sour", "anger"), ("calm", "calm")))
    for path in ("data/train.csv", "data/dev.csv", "alone/train.csv"):
        (tmp_path / path).write_text(f"text,labels\n{rows}")
    for name, content in BAD.items():
        (tmp_path / "bad" / name).write_bytes(content.encode("latin-1"))
    (tmp_path / "enc").symlink_to(folder / "encoder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    def refuse_hub(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    def refuse_encoder(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect") from LocalEntryNotFoundError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(datasets, "load_dataset", refuse_hub)
    monkeypatch.setattr(AutoModel, "from_pretrained", refuse_encoder)
    return tmp_path


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(("command", "code", "message"), MISTAKES, ids=[command for command, *_ in MISTAKES])
def test_a_mistake_is_one_line_with_the_value_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, code: int, message: str
) -> None:
    assert message in mistake(monkeypatch, capsys, command, code=code)


def test_the_remedies_work(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names and files that the messages suggest are accepted."""
    for named in ("schedule.learning_rate=1e-4", "schedule.epochs=2", "loss.kind=bce", "run.precision=bf16"):
        resolve(None, None, parse_changes([named]))
    for policy in ("f1", "precision@0.8", "fixed:0.5"):
        parse_policy(policy)
    (workplace / "bad" / "quote.csv").write_text('text,labels\n"a",joy\n')
    (workplace / "bad" / "comma.csv").write_text('text,labels\n"well, yes",joy\n')
    for name in ("quote.csv", "comma.csv"):
        assert 1 == len(load_split(workplace / "bad" / name))
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    run(*f"{FIT} --encoder ./enc --epochs 1 --precision fp32".split())
    assert (workplace / "out" / "config.json").is_file()


def test_a_mistyped_path_or_name_is_reported_before_torch_is_imported(workplace: Path) -> None:
    late = ("--resume", "--device", "someone/else", "--out toy", "goemotions", "datasets:", "--dtype", "--format")
    commands = [command for command, *_ in MISTAKES if not any(word in command for word in late)]
    assert len(commands) > 25
    program = (
        "import sys\nfrom emotag_training.cli import main\n"
        f"for command in {[shlex.split(command) for command in commands]!r}:\n"
        "    sys.argv = ['emotag-train', *command]\n"
        "    try:\n        main()\n"
        "    except SystemExit as ended:\n        assert ended.code == 2, command\n"
        "    assert 'torch' not in sys.modules, command\n"
        "    assert 'sklearn' not in sys.modules, command\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=workplace, capture_output=True, text=True, check=False, timeout=100
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    assert len(commands) == len(done.stderr.splitlines())
