"""The padding-free forward for serving, in torch: equal to the reference except for rounding.

Linear layers and norms see one row of real tokens. Attention stays within each text. The convolution runs once over the
row with zeros between the texts, as one matrix multiplication and a sum of shifted parts. The pool is the maximum over
each text's tokens.

Nothing here waits for a GPU: the caller waits when it fetches the result.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from emotag_model.distilbert_cnn import DistilBertCNN, Layer, find_first

from .int8 import LEAST_OF_GELU, LEVELS, TINY, quantize_weights
from .packed_attention import Attention, Group, Varlen, attend_by_group, attend_by_text, group_equal_lengths
from .packing import Ints, Packed, round_up
from .precision import PrecisionName


class PackedForward:
    """A function from packed batches to logits.

    Args:
        model: the model whose weights are used; for inference only, on its device, with weights in its dtype.
        varlen: a kernel from `packed_attention.find_varlen_kernel`; without it texts of equal length attend in groups.
        precision: int8: imitate linear layers and the convolution in 8-bit integers, so that any machine can measure
            the loss of quality; others: compute in the dtype of the weights.
    """

    def __init__(
        self, model: DistilBertCNN, *, varlen: Varlen | None = None, precision: PrecisionName = "fp32"
    ) -> None:
        self._model = model
        self._varlen = varlen
        self._gap = model.config.kernel_size // 2
        self._heads = model.config.n_heads
        linear = LINEAR[precision]
        self._layers = [_FusedLayer(layer, linear) for layer in model.encoder.transformer.layer]  # type: ignore[arg-type]
        # [F, C, W] → [W F, C]: all positions of the kernel as one linear layer.
        kernel_WC = model.conv.weight.permute(2, 0, 1).reshape(-1, model.config.dim).contiguous()
        self._convolve = linear(kernel_WC, kernel_WC.new_zeros(len(kernel_WC)))
        self._device = kernel_WC.device

    def __call__(self, batch: Packed) -> Tensor:
        """Return logits_BK, float32; rows after the texts have no meaning.

        Texts of equal length must be adjacent in *batch*.
        """
        groups = group_equal_lengths(batch)
        return self._classify(_pool(self._compute_features(batch, groups), groups))

    def explain(self, batch: Packed) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits_BK as a call does, and of the texts the values and positions [B, F] of `reasons.Maxima`."""
        groups = group_equal_lengths(batch)
        features_TF = self._compute_features(batch, groups)
        pooled_BF = _pool(features_TF, groups)
        return self._classify(pooled_BF), pooled_BF.float(), _find_positions(features_TF, pooled_BF, groups)

    def _compute_features(self, batch: Packed, groups: list[Group]) -> Tensor:
        """Return the features of each token of the texts after ReLU, [T, F]."""
        embeddings = self._model.encoder.embeddings
        ids_T, positions_T = self._send(batch.ids_T), self._send(batch.positions_T)
        hidden_TC = embeddings.LayerNorm(
            embeddings.word_embeddings(ids_T) + embeddings.position_embeddings(positions_T)
        )
        attention = attend_by_text(self._varlen, batch, self._send) if self._varlen else attend_by_group(groups)
        for layer in self._layers:
            hidden_TC = layer(hidden_TC, attention, self._heads)
        return self._slide(hidden_TC, batch)

    def _send(self, values: Ints) -> Tensor:
        """Return the values on the device; on a GPU from pinned memory, since any other copy waits for running work."""
        tensor, device = torch.from_numpy(values), self._device
        return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

    def _slide(self, hidden_TC: Tensor, batch: Packed) -> Tensor:
        """Return the convolution over each text after ReLU, [T, F]."""
        model = self._model
        spaced_S = self._send(batch.spaced_S(self._gap))
        spaced_SC = torch.cat([hidden_TC, hidden_TC.new_zeros(1, hidden_TC.shape[1])])[spaced_S]
        parts_SWF = self._convolve(spaced_SC).view(len(spaced_S), -1, model.config.channels)
        inner = len(spaced_S) - 2 * self._gap
        summed_PF = parts_SWF[:inner, 0]  # P: places of the spaced row except the first and last gap
        for shift in range(1, parts_SWF.shape[1]):
            summed_PF = summed_PF + parts_SWF[shift : shift + inner, shift]
        in_row_T = self._send(batch.in_spaced_T(self._gap) - self._gap)
        assert model.conv.bias is not None
        return torch.relu(summed_PF[in_row_T] + model.conv.bias)

    def _classify(self, pooled_BF: Tensor) -> Tensor:
        filling = round_up(len(pooled_BF)) - len(pooled_BF)
        logits_BK: Tensor = self._model.classifier(F.pad(pooled_BF, (0, 0, 0, filling)))
        return logits_BK.float()


def _pool(features_TF: Tensor, groups: list[Group]) -> Tensor:
    """Return the largest value of each feature over the tokens of each text, [B, F]."""
    return torch.cat(
        [features_TF[start : start + n * length].view(n, length, -1).amax(dim=1) for start, n, length in groups]
    )


def _find_positions(features_TF: Tensor, pooled_BF: Tensor, groups: list[Group]) -> Tensor:
    """Return the first token of each text that has the largest value of each feature, [B, F]."""
    found, first = [], 0
    for start, n, length in groups:
        features_NLF = features_TF[start : start + n * length].view(n, length, -1)
        found.append(find_first(features_NLF, pooled_BF[first : first + n]))
        first += n
    return torch.cat(found)


class _FusedLayer:
    """One layer with one multiplication for queries, keys and values."""

    def __init__(self, layer: Layer, linear: "type[_Linear]") -> None:
        self._layer = layer
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
        inner_TM = F.gelu(self._lin1(hidden_TC))
        return layer.output_layer_norm(self._lin2(inner_TM, least=LEAST_OF_GELU) + hidden_TC)  # type: ignore[no-any-return]


class _Linear:
    def __init__(self, weight_OI: Tensor, bias_O: Tensor) -> None:
        self._weight_OI, self._bias_O = weight_OI, bias_O

    def __call__(self, x_TI: Tensor, *, least: float | None = None) -> Tensor:
        return F.linear(x_TI, self._weight_OI, self._bias_O)


class _Int8Linear(_Linear):
    """The results of 8-bit integers, computed in floating point."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor) -> None:
        integers_OI, step_O1 = quantize_weights(weight_OI.float().numpy())
        super().__init__(torch.from_numpy(integers_OI * step_O1), bias_O)

    def __call__(self, x_TI: Tensor, *, least: float | None = None) -> Tensor:
        offset = 0.0 if least is None else least
        largest_T1 = (x_TI.abs() if least is None else x_TI - offset).amax(dim=1, keepdim=True)
        step_T1 = largest_T1.clamp(min=TINY) / (LEVELS if least is None else 2 * LEVELS + 1)
        return F.linear(torch.round((x_TI - offset) / step_T1) * step_T1 + offset, self._weight_OI, self._bias_O)


LINEAR: Mapping[PrecisionName, type[_Linear]] = {
    "fp32": _Linear,
    "bf16": _Linear,
    "fp16": _Linear,
    "int8": _Int8Linear,
}
"""The class of the encoder's linear layers."""
