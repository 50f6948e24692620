"""EmotionTagger on the Hugging Face hub: from there, and back to there.

>>> from training.hub import HubTagger
>>> tagger = HubTagger.from_pretrained("someone/emotag-mini")  # or an artifact's directory
>>> tagger.push_to_hub("someone/emotag-mini")

An artifact's directory is its form on the hub: the files are copied as they are, so version and checksums are the same
there, and what comes from there is verified as any artifact is. Why this is no part of the tagger that a worker loads:
docs/decisions/0012.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelHubMixin, snapshot_download

from model import artifact
from model.artifact import Artifact, ArtifactError
from model.choice import Choice
from model.engine import Engine
from model.tagger import EmotionTagger

TOKENIZER_CONFIG = "tokenizer_config.json"
"""What transformers.AutoTokenizer wants beside tokenizer.json. No part of the artifact: nothing of ours reads it."""

SPECIAL_TOKENS = ("unk", "cls", "sep", "mask")
"""As every BERT calls them: `unk_token` is [UNK]."""


class HubTagger(EmotionTagger, ModelHubMixin, library_name="emotag"):
    """An EmotionTagger that can be saved, and pushed to the hub and loaded from it.

    `push_to_hub` is huggingface_hub's own; `from_pretrained` takes `on`, `engine` and `precision` as `load` does, and
    `revision`, `token` and the rest as huggingface_hub does.
    """

    # Where it is None, the mixin makes one of the arguments of __init__: a copy of all weights.
    _hub_mixin_config = {}  # noqa: RUF012  (the mixin's own name and type)

    def __init__(self, trained: Artifact, engine: Engine, choice: Choice) -> None:
        super().__init__(trained, engine, choice)
        self._trained = trained

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **options: Any,
    ) -> Self:
        """Load a directory, or what the hub has under the name.

        Raises:
            ArtifactError: it is not an artifact that can be trusted; says which file and why.
            OSError: the hub has no such model, or cannot be reached.
        """
        if Path(model_id).is_dir():
            return cls.load(model_id, **options)
        folder = snapshot_download(
            model_id,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return cls.load(folder, **options)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Copy the artifact to *save_directory*, with what AutoTokenizer wants; options are huggingface_hub's.

        Raises:
            ArtifactError: the artifact is no longer the one that was loaded.
            ValueError: it would replace its source.
        """
        # Before the mixin touches anything: it begins with removing the config.json that is there.
        if Path(save_directory).resolve() == self._source().resolve():
            raise ValueError(f"{save_directory} is the model itself; save it to another directory")
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        source = self._source()
        for name in artifact.files(source):
            shutil.copyfile(source / name, save_directory / name)
        copied = artifact.load(save_directory)
        if (copied.version, copied.thresholds_version) != (self.version, self.thresholds_version):
            raise ArtifactError(source, "is no longer the artifact that was loaded; load it again")
        if not (save_directory / TOKENIZER_CONFIG).exists():  # a copy may have one, and list it
            (save_directory / TOKENIZER_CONFIG).write_text(
                json.dumps(tokenizer_config(copied), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )

    def _source(self) -> Path:
        """Where the artifact lies: a tagger is always loaded from somewhere."""
        assert self._trained.path is not None
        return self._trained.path


def tokenizer_config(trained: Artifact) -> dict[str, Any]:
    """The artifact's tokenizer as transformers describes one; the tokenizer itself is in tokenizer.json."""
    tokenizer, config = trained.tokenizer, trained.config
    named = {f"{kind}_token": f"[{kind.upper()}]" for kind in SPECIAL_TOKENS}
    special = {name: token for name, token in named.items() if tokenizer.token_to_id(token) is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": tokenizer.id_to_token(config.pad_token_id),
        **special,
    }
