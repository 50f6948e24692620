"""The model as a class of transformers, copied next to the exported weights for `trust_remote_code`.

Any installation of transformers may load this file, so it imports nothing else.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DistilBertModel, DistilBertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class EmotagForSequenceClassification(DistilBertPreTrainedModel):  # type: ignore[no-untyped-call]
    """A DistilBERT encoder, a convolution, a global max pool, a linear layer; padding masked as in emotag."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.conv = nn.Conv1d(config.dim, config.channels, config.kernel_size, padding=config.kernel_size // 2)
        self.classifier = nn.Linear(config.channels, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Return the logits of every label."""
        hidden_BLC = self.distilbert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden_BLC = hidden_BLC * attention_mask.unsqueeze(-1)
        features_BFL = torch.relu(self.conv(hidden_BLC.transpose(1, 2)))
        pooled_BF = (features_BFL * attention_mask.unsqueeze(1)).amax(dim=2)
        return SequenceClassifierOutput(logits=self.classifier(pooled_BF))
