"""`emotag run` with constants in place of scope, language and corrected spelling."""

import sys
from collections.abc import Sequence

from emotag_model.scope.rules import TextScope
from emotag_model.spelling.noise import Spelling
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds
from emotag_worker.local import LocalWorker
from emotag_worker.wire import encode

ENGLISH = TextScope("ok", "en")
ENCODED = encode._encode_scope(*ENGLISH)


class ConstantWorker(LocalWorker):
    """A worker that neither detects languages nor corrects words. The rest is as in any worker."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", __name__]


def main() -> None:
    from emotag_worker.cli import main as run

    def find_scopes(self: EmotionTagger, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        return [ENGLISH] * len(texts)

    EmotionTagger.find_scopes = find_scopes  # type: ignore[method-assign]
    Spelling.of = classmethod(lambda cls, tokenizer: None)  # type: ignore[method-assign,assignment]
    encode._encode_scope = lambda scope, language: ENCODED  # type: ignore[assignment]
    sys.argv[1:] = ["run"]
    run()


if __name__ == "__main__":
    main()
