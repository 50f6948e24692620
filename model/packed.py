"""The padding-free forward for serving, in torch: equal to the reference to rounding.

Linear layers and norms see one row of real tokens. Attention stays within each text. The convolution runs once over the
row with zero rows between the texts, as one matrix multiplication and a sum of its shifted parts. The pool is the
maximum over each text's tokens.

Nothing here waits for a GPU: the caller does, when it fetches the result.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .distilbert_cnn import DistilBertCNN, Layer
from .int8 import LEAST_OF_GELU, LEVELS, TINY, integers
from .packed_attention import Attention, Group, Varlen, by_group, by_text, equal_lengths
from .packing import Ints, Packed


class PackedForward:
    """Logits of packed batches.

    Args:
        model: whose weights are used; for inference only, on its device, in its precision.
        varlen: `packed_attention.varlen_kernel`'s; without it texts of equal length attend in groups.
        int8: imitate the trunk's linear layers in 8-bit integers: what they cost in quality can be measured anywhere.
    """

    def __init__(self, model: DistilBertCNN, *, varlen: Varlen | None = None, int8: bool = False) -> None:
        self._model = model
        self._varlen = varlen
        self._gap = model.config.kernel_size // 2
        self._heads = model.config.n_heads
        self._layers = [_Fused(layer, int8=int8) for layer in model.trunk.transformer.layer]  # type: ignore[arg-type]
        # [F, C, k] → [k F, C]: all positions of the kernel as one linear layer.
        self._kernel_KC = model.conv.weight.permute(2, 0, 1).reshape(-1, model.config.dim).contiguous()

    def __call__(self, batch: Packed) -> Tensor:
        """logits_BK in float32; the texts of *batch* are sorted by length, or equal lengths at least adjacent."""
        embeddings = self._model.trunk.embeddings
        ids_T, positions_T = self._sent(batch.ids_T), self._sent(batch.positions_T)
        hidden_TC = embeddings.LayerNorm(
            embeddings.word_embeddings(ids_T) + embeddings.position_embeddings(positions_T)
        )
        groups = equal_lengths(batch)
        attention = by_text(self._varlen, batch, self._sent) if self._varlen else by_group(groups)
        for layer in self._layers:
            hidden_TC = layer(hidden_TC, attention, self._heads)
        return self._head(hidden_TC, batch, groups)

    def _sent(self, values: Ints) -> Tensor:
        """On the device, where that is another one from pinned memory: else the copy waits for all that is at work."""
        tensor, device = torch.from_numpy(values), self._kernel_KC.device
        return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

    def _head(self, hidden_TC: Tensor, batch: Packed, groups: list[Group]) -> Tensor:
        model = self._model
        spaced_S = self._sent(batch.spaced_S(self._gap))
        spaced_SC = torch.cat([hidden_TC, hidden_TC.new_zeros(1, hidden_TC.shape[1])])[spaced_S]
        parts_SKF = F.linear(spaced_SC, self._kernel_KC).view(len(spaced_S), -1, model.config.channels)
        inner = len(spaced_S) - 2 * self._gap
        summed_IF = parts_SKF[:inner, 0]
        for shift in range(1, parts_SKF.shape[1]):
            summed_IF = summed_IF + parts_SKF[shift : shift + inner, shift]
        in_row_T = self._sent(batch.in_spaced_T(self._gap) - self._gap)
        assert model.conv.bias is not None
        features_TF = torch.relu(summed_IF[in_row_T] + model.conv.bias)
        pooled_BF = torch.cat(
            [features_TF[start : start + n * length].view(n, length, -1).amax(dim=1) for start, n, length in groups]
        )
        logits_BK: Tensor = model.classifier(pooled_BF)
        return logits_BK.float()


class _Fused:
    """One layer, its queries, keys and values computed by one multiplication."""

    def __init__(self, layer: Layer, *, int8: bool) -> None:
        self._layer = layer
        linear = _Int8Linear if int8 else _Linear
        attention = layer.attention
        projections = (attention.q_lin, attention.k_lin, attention.v_lin)
        self._qkv = linear(torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections]))
        self._out = linear(attention.out_lin.weight, attention.out_lin.bias)
        self._lin1 = linear(layer.ffn.lin1.weight, layer.ffn.lin1.bias)
        self._lin2 = linear(layer.ffn.lin2.weight, layer.ffn.lin2.bias)

    def __call__(self, hidden_TC: Tensor, attention: Attention, heads: int) -> Tensor:
        layer = self._layer
        qkv_T3HD = self._qkv(hidden_TC).view(len(hidden_TC), 3, heads, -1)
        context_TC = attention(qkv_T3HD).reshape(hidden_TC.shape)
        hidden_TC = layer.sa_layer_norm(self._out(context_TC) + hidden_TC)
        inner_TH = F.gelu(self._lin1(hidden_TC))
        return layer.output_layer_norm(self._lin2(inner_TH, least=LEAST_OF_GELU) + hidden_TC)  # type: ignore[no-any-return]


class _Linear:
    def __init__(self, weight_OI: Tensor, bias_O: Tensor) -> None:
        self._weight_OI, self._bias_O = weight_OI, bias_O

    def __call__(self, x_TI: Tensor, *, least: float | None = None) -> Tensor:
        return F.linear(x_TI, self._weight_OI, self._bias_O)


class _Int8Linear(_Linear):
    """What integers would give, in floating point."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor) -> None:
        integers_OI, step_O1 = integers(weight_OI.float().numpy())
        super().__init__(torch.from_numpy(integers_OI * step_O1), bias_O)

    def __call__(self, x_TI: Tensor, *, least: float | None = None) -> Tensor:
        offset = 0.0 if least is None else least
        largest_T1 = (x_TI.abs() if least is None else x_TI - offset).amax(dim=1, keepdim=True)
        step_T1 = largest_T1.clamp(min=TINY) / (LEVELS if least is None else 2 * LEVELS + 1)
        return F.linear(torch.round((x_TI - offset) / step_T1) * step_T1 + offset, self._weight_OI, self._bias_O)
