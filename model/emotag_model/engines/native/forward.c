/* The forward pass in 8-bit integers, for one batch of texts, on one thread.
 *
 * This file is compiled once for each path: the same order of operations, with other instructions. Integers are exact.
 * Each float operation is rounded as IEEE 754 defines it: no approximating library function, and the compiler fuses
 * nothing (-ffp-contract=off). A sum within a row has LANES partial sums; all other sums of floats add one term after
 * the other, one output per lane. So each path gives the same bits, for a text alone and in any batch.
 *
 * The order of a layer (DistilBERT): attention, residual, norm; two linear layers with GELU, residual, norm. Between
 * two products, TILE tokens at a time stay in the second-level cache. Attention reads each text where it lies in the row
 * of all tokens: there is no rectangle and no padding, except to a multiple of ROWS at the end of the batch.
 */
#include "forward.h"

#include <math.h>

#if defined(__AVX512VNNI__)
#include "avx512.h"
#elif defined(__AVX2__)
#include "avx2.h"
#else
#include "portable.h"
#endif

static const float TINY = 1e-6f;           /* as in `int8.py` */
static const float LEAST_OF_GELU = -0.17f; /* as in `int8.py` */
static const float NEVER = -1e30f;

/* Working memory of a batch. Filling rows are computed like tokens, and their results are ignored. */
typedef struct {
    float *hidden_TC, *projected_T3C, *context_LC, *inner_TileM, *keys_DL, *scores_4L, *steps_T, *context_steps_T;
    Activation *hidden_q_TC, *context_q_TC, *inner_q_TileM;
} Workspace;

static size_t widest_projection(const Model *m) {
    const size_t qkv = m->layer[0].qkv.outputs, parts = m->convolution.outputs;
    return qkv > parts ? qkv : parts;
}

/* Place the arrays of a batch one after the other from *at*, and return the end. With *at* NULL, only measure. */
static size_t lay_out(const Model *m, size_t tokens, uint8_t *at, Workspace *w) {
    const size_t rows = round_up(tokens, ROWS), longest = round_up(m->positions, LANES);
    const size_t inner = m->layer[0].inner.outputs, projected = widest_projection(m);
    size_t used = 0;
#define PLACE(array, type, count) \
    (array = (type *)(at ? at + used : NULL), used = round_up(used + sizeof(type) * (count), 64))
    PLACE(w->hidden_TC, float, rows * m->dim);
    PLACE(w->projected_T3C, float, rows * projected);
    PLACE(w->context_LC, float, longest * m->dim > (size_t)m->channels ? longest * m->dim : (size_t)m->channels);
    PLACE(w->inner_TileM, float, TILE * inner);
    PLACE(w->keys_DL, float, longest * (m->dim / m->heads));
    PLACE(w->scores_4L, float, 4 * longest);
    PLACE(w->steps_T, float, rows + TILE);
    PLACE(w->context_steps_T, float, rows);
    PLACE(w->hidden_q_TC, Activation, rows * m->dim);
    PLACE(w->context_q_TC, Activation, rows * m->dim);
    PLACE(w->inner_q_TileM, Activation, TILE * inner);
#undef PLACE
    return used;
}

/* ---- Element by element ------------------------------------------------------------------------------------------ */

/* Return e to the power of x, for x from -87 to 0, with a relative error below 1e-7. */
INLINE Floats exponential(Floats x) {
    const Floats n = round_even(multiply(x, all(1.44269504f)));
    const Floats r = multiply_add(n, all(-1.90821493e-10f), multiply_add(n, all(-0.693147182f), x)); /* n ln 2 */
    Floats p = all(1.0f / 720);
    p = multiply_add(p, r, all(1.0f / 120));
    p = multiply_add(p, r, all(1.0f / 24));
    p = multiply_add(p, r, all(1.0f / 6));
    p = multiply_add(p, r, all(0.5f));
    p = multiply_add(p, r, all(1.0f));
    p = multiply_add(p, r, all(1.0f));
    return times_power(p, n);
}

/* Return x * (1 + erf(x / sqrt(2))) / 2. The error function is an odd polynomial fitted to [-4, 4]: the error is at most
 * 4e-5 there, and 4e-5 * |x| outside. */
INLINE Floats gelu(Floats x) {
    const Floats t = larger(smaller(x, all(4.0f)), all(-4.0f)), u = multiply(t, t);
    Floats p = all(-2.6025805954785e-09f);
    p = multiply_add(p, u, all(2.0839158310081984e-07f));
    p = multiply_add(p, u, all(-7.314253252843628e-06f));
    p = multiply_add(p, u, all(0.00014970992924645543f));
    p = multiply_add(p, u, all(-0.002012979704886675f));
    p = multiply_add(p, u, all(0.019010793417692184f));
    p = multiply_add(p, u, all(-0.13177567720413208f));
    p = multiply_add(p, u, all(0.7973467707633972f));
    const Floats half = multiply(x, all(0.5f));
    return multiply_add(half, multiply(p, t), half);
}

/* Store a row of floats as integers from -127 to 127; return their step, NaN if a float is not finite. */
static float quantize(const float *x, int32_t size, float largest, Activation *q) {
    largest = largest > TINY ? largest : TINY;
    Floats nothing = all(0.0f); /* stays zero, unless a float is infinite or NaN */
    const Floats inverse = all(127.0f / largest);
    for (int32_t i = 0; i < size; i += LANES) {
        nothing = multiply_add(load(x + i), all(0.0f), nothing);
        store_activations(q + i, multiply(load(x + i), inverse), ZERO);
    }
    return largest / 127.0f + sum_lanes(nothing);
}

static float quantize_signed(const float *x, int32_t size, Activation *q) {
    Floats largest = all(0.0f);
    for (int32_t i = 0; i < size; i += LANES) largest = larger(largest, magnitude(load(x + i)));
    return quantize(x, size, largest_lane(largest), q);
}

/* Subtract LEAST_OF_GELU from a row of GELU outputs, and store it as integers from 0 to 255; return their step. */
static float quantize_gelu(const float *x, int32_t size, Activation *q) {
    Floats lanes = all(LEAST_OF_GELU);
    for (int32_t i = 0; i < size; i += LANES) lanes = larger(lanes, load(x + i));
    float largest = largest_lane(lanes) - LEAST_OF_GELU;
    largest = largest > TINY ? largest : TINY;
    Floats nothing = all(0.0f); /* as in `quantize` */
    const Floats inverse = all(255.0f / largest), least = all(LEAST_OF_GELU);
    for (int32_t i = 0; i < size; i += LANES) {
        nothing = multiply_add(load(x + i), all(0.0f), nothing);
        store_activations(q + i, larger(multiply(subtract(load(x + i), least), inverse), all(0.0f)), 0);
    }
    return largest / 255.0f + sum_lanes(nothing);
}

/* Normalize a row in place, and store it as integers; return their step. */
static float normalize(float *x, int32_t size, Norm norm, float epsilon, Activation *q) {
    Floats sum = all(0.0f), squares = all(0.0f), largest = all(0.0f);
    for (int32_t i = 0; i < size; i += LANES) sum = add(sum, load(x + i));
    const Floats mean = all(sum_lanes(sum) / (float)size);
    for (int32_t i = 0; i < size; i += LANES) {
        const Floats centred = subtract(load(x + i), mean);
        squares = multiply_add(centred, centred, squares);
        store(x + i, centred);
    }
    const Floats scale = all(1.0f / __builtin_sqrtf(sum_lanes(squares) / (float)size + epsilon));
    for (int32_t i = 0; i < size; i += LANES) {
        const Floats y = multiply_add(multiply(load(x + i), scale), load(norm.gain + i), load(norm.bias + i));
        largest = larger(largest, magnitude(y));
        store(x + i, y);
    }
    return quantize(x, size, largest_lane(largest), q);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

typedef enum { PLAIN, RESIDUAL, GELU } Finish;

/* Convert the sums of ROWS tokens to floats, apply steps, bias and *finish*, and store them in y. */
INLINE void finish_tile(const int32_t *c, const Linear *l, int32_t output, const float *steps, float *y, size_t stride,
                        Finish finish) {
    for (int row = 0; row < ROWS; row++, y += stride)
        for (int part = 0; part < PANEL; part += LANES) {
            const int32_t at = output + part;
            const Floats step = multiply(all(steps[row]), load(l->steps + at));
            Floats v = multiply_add(from_integers(c + row * PANEL + part, l->zeros + at), step, load(l->bias + at));
            if (finish == RESIDUAL) v = add(v, load(y + at));
            if (finish == GELU) v = gelu(v);
            store(y + at, v);
        }
}

/* y = x w + bias for *rows* rows, a multiple of ROWS. A panel of weights serves all of them while it is cached. */
INLINE void linear(const Linear *l, const Activation *x, const float *steps, size_t rows, float *y, size_t stride,
                   Finish finish) {
    int32_t c[ROWS * PANEL] __attribute__((aligned(64)));
    for (int32_t output = 0; output < l->outputs; output += PANEL)
        for (size_t row = 0; row < rows; row += ROWS) {
            multiply_tile(x + row * l->inputs, l->inputs, l->weights + (size_t)output * l->inputs, l->inputs, c);
            finish_tile(c, l, output, steps + row, y + row * stride, stride, finish);
        }
}

static void project(const Linear *l, const Activation *x, const float *steps, size_t rows, float *y) {
    linear(l, x, steps, rows, y, l->outputs, PLAIN);
}

static void add_to_residual(const Linear *l, const Activation *x, const float *steps, size_t rows, float *y) {
    linear(l, x, steps, rows, y, l->outputs, RESIDUAL);
}

static void expand(const Linear *l, const Activation *x, const float *steps, size_t rows, float *y) {
    linear(l, x, steps, rows, y, l->outputs, GELU);
}

/* ---- Attention --------------------------------------------------------------------------------------------------- */

/* Replace *length* scores by exp(scale * score - maximum), and the filling by zeros. Return 1 / sum: the caller
 * multiplies by it, which completes the softmax. */
static float soften(float *scores, int32_t length, int32_t padded, float scale) {
    for (int32_t j = length; j < padded; j++) scores[j] = NEVER;
    Floats largest = all(NEVER), sum = all(0.0f);
    for (int32_t j = 0; j < padded; j += LANES) {
        const Floats scaled = multiply(load(scores + j), all(scale));
        largest = larger(largest, scaled);
        store(scores + j, scaled);
    }
    const Floats most = all(largest_lane(largest));
    for (int32_t j = 0; j < padded; j += LANES)
        store(scores + j, exponential(larger(subtract(load(scores + j), most), all(-87.0f))));
    for (int32_t j = length; j < padded; j++) scores[j] = 0.0f;
    for (int32_t j = 0; j < padded; j += LANES) sum = add(sum, load(scores + j));
    return 1.0f / sum_lanes(sum);
}

/* One head of one text: the context of each token. q, k and v are columns of the projected rows, *stride* apart. */
static void attend_head(const float *q, const float *k, const float *v, size_t stride, int32_t length, int32_t size,
                        const Workspace *w, float *context, size_t context_stride) {
    const int32_t padded = (int32_t)round_up(length, LANES);
    const float scale = 1.0f / __builtin_sqrtf((float)size);
    for (int32_t j = 0; j < length; j++)
        for (int32_t d = 0; d < size; d++) w->keys_DL[d * padded + j] = k[j * stride + d];
    for (int32_t d = 0; d < size; d++)
        for (int32_t j = length; j < padded; j++) w->keys_DL[d * padded + j] = 0.0f;
    for (int32_t first = 0; first < length; first += 4) {
        const float *query[4];
        float inverse[4];
        for (int i = 0; i < 4; i++) query[i] = q + (first + i < length ? first + i : first) * stride;
        for (int32_t j = 0; j < padded; j += LANES) {
            Floats s0 = all(0.0f), s1 = s0, s2 = s0, s3 = s0;
            for (int32_t d = 0; d < size; d++) {
                const Floats keys = load(w->keys_DL + d * padded + j);
                s0 = multiply_add(all(query[0][d]), keys, s0);
                s1 = multiply_add(all(query[1][d]), keys, s1);
                s2 = multiply_add(all(query[2][d]), keys, s2);
                s3 = multiply_add(all(query[3][d]), keys, s3);
            }
            store(w->scores_4L + j, s0);
            store(w->scores_4L + padded + j, s1);
            store(w->scores_4L + 2 * padded + j, s2);
            store(w->scores_4L + 3 * padded + j, s3);
        }
        for (int i = 0; i < 4; i++) inverse[i] = soften(w->scores_4L + i * padded, length, padded, scale);
        for (int32_t d = 0; d < size; d += LANES) {
            Floats c[4] = {all(0.0f), all(0.0f), all(0.0f), all(0.0f)};
            for (int32_t j = 0; j < length; j++) {
                const Floats values = load(v + j * stride + d);
                for (int i = 0; i < 4; i++) c[i] = multiply_add(all(w->scores_4L[i * padded + j]), values, c[i]);
            }
            for (int i = 0; i < 4 && first + i < length; i++)
                store(context + (first + i) * context_stride + d, multiply(c[i], all(inverse[i])));
        }
    }
}

/* The attention of every text, as integers and their steps. */
static void attend(const Model *m, const Workspace *w, const int32_t *lengths, int32_t texts, size_t rows) {
    const int32_t size = m->dim / m->heads;
    const size_t stride = m->layer[0].qkv.outputs;
    size_t token = 0;
    for (int32_t text = 0; text < texts; text++) {
        const float *projected = w->projected_T3C + token * stride;
        for (int32_t head = 0; head < m->heads; head++) {
            const float *q = projected + head * size;
            attend_head(q, q + m->dim, q + 2 * m->dim, stride, lengths[text], size, w, w->context_LC + head * size,
                        m->dim);
        }
        for (int32_t i = 0; i < lengths[text]; i++, token++)
            w->context_steps_T[token] =
                quantize_signed(w->context_LC + i * m->dim, m->dim, w->context_q_TC + token * m->dim);
    }
    for (; token < rows; token++) { /* the filling */
        __builtin_memset(w->context_q_TC + token * m->dim, 0, sizeof(Activation) * m->dim);
        w->context_steps_T[token] = TINY;
    }
}

/* ---- The model --------------------------------------------------------------------------------------------------- */

static void embed(const Model *m, const int32_t *ids, const int32_t *lengths, int32_t texts, size_t rows,
                  Workspace *w) {
    const size_t C = m->dim;
    size_t token = 0;
    for (int32_t text = 0; text < texts; text++)
        for (int32_t position = 0; position < lengths[text]; position++, token++) {
            float *x = w->hidden_TC + token * C;
            for (size_t i = 0; i < C; i += LANES) {
                const Floats word = m->words_half ? from_half(m->words_half + ids[token] * C + i)
                                                  : load(m->words_single + ids[token] * C + i);
                store(x + i, add(word, load(m->positions_LC + position * C + i)));
            }
            w->steps_T[token] = normalize(x, m->dim, m->embedded, m->norm_epsilon, w->hidden_q_TC + token * C);
        }
    for (; token < rows; token++) { /* the filling */
        __builtin_memset(w->hidden_TC + token * C, 0, sizeof(float) * C);
        __builtin_memset(w->hidden_q_TC + token * C, 0, sizeof(Activation) * C);
        w->steps_T[token] = TINY;
    }
}

/* One layer from the projections on: TILE tokens at a time through everything that needs no other token. */
static void finish_layer(const Model *m, const Layer *layer, size_t rows, Workspace *w) {
    const size_t C = m->dim, inner = layer->inner.outputs;
    float inner_steps[TILE];
    for (size_t start = 0; start < rows; start += TILE) {
        const size_t count = rows - start < TILE ? rows - start : TILE;
        float *hidden = w->hidden_TC + start * C, *steps = w->steps_T + start;
        Activation *hidden_q = w->hidden_q_TC + start * C;
        add_to_residual(&layer->out, w->context_q_TC + start * C, w->context_steps_T + start, count, hidden);
        for (size_t i = 0; i < count; i++)
            steps[i] = normalize(hidden + i * C, m->dim, layer->after_attention, m->norm_epsilon, hidden_q + i * C);
        expand(&layer->inner, hidden_q, steps, count, w->inner_TileM);
        for (size_t i = 0; i < count; i++)
            inner_steps[i] = quantize_gelu(w->inner_TileM + i * inner, (int32_t)inner, w->inner_q_TileM + i * inner);
        add_to_residual(&layer->outer, w->inner_q_TileM, inner_steps, count, hidden);
        for (size_t i = 0; i < count; i++)
            steps[i] = normalize(hidden + i * C, m->dim, layer->after_inner, m->norm_epsilon, hidden_q + i * C);
    }
}

/* Return 1 if every number is finite. Maxima and integers would hide the others. */
static int is_finite(const float *x, size_t size) {
    Floats sum = all(0.0f);
    for (size_t i = 0; i < size; i += LANES) sum = multiply_add(load(x + i), all(0.0f), sum);
    return sum_lanes(sum) == 0.0f;
}

/* LANES channels of the convolution, before ReLU, at token *i* of a text. *parts* begins with the text's first token. */
INLINE Floats convolve(const Model *m, const float *parts, int32_t length, int32_t i, int32_t channel) {
    const int32_t F = m->channels, reach = m->kernel / 2;
    const size_t stride = m->convolution.outputs;
    Floats sum = load(m->convolution_bias + channel);
    for (int32_t place = 0; place < m->kernel; place++) {
        const int32_t at = i + place - reach;
        if (at >= 0 && at < length) sum = add(sum, load(parts + at * stride + place * F + channel));
    }
    return sum;
}

/* Write the first token that has the largest value of each channel; 0 if ReLU cut all of them off. */
static void find_positions(const Model *m, const float *parts, int32_t length, const float *pooled,
                           int32_t *positions) {
    for (int32_t f = 0; f < m->channels; f += LANES) {
        __builtin_memset(positions + f, 0, sizeof(int32_t) * LANES);
        for (int32_t i = length - 1; i >= 0; i--) {
            float sums[LANES];
            store(sums, convolve(m, parts, length, i, f));
            for (int32_t lane = 0; lane < LANES; lane++)
                if (sums[lane] == pooled[f + lane]) positions[f + lane] = i;
        }
    }
}

/* The probability of each label: convolution over the tokens of a text, largest value of each channel, classifier. */
static void classify(const Model *m, const Workspace *w, size_t token, int32_t length, float *probabilities,
                     float *values, int32_t *positions) {
    const int32_t F = m->channels;
    const float *parts = w->projected_T3C + token * m->convolution.outputs;
    float *pooled = w->context_LC;
    const int finite = is_finite(w->hidden_TC + token * m->dim, (size_t)length * m->dim);
    for (int32_t f = 0; f < F; f += LANES) {
        Floats largest = all(0.0f); /* what ReLU leaves of smaller values */
        for (int32_t i = 0; i < length; i++) largest = larger(largest, convolve(m, parts, length, i, f));
        store(pooled + f, largest);
    }
    if (values) {
        __builtin_memcpy(values, pooled, sizeof(float) * F);
        find_positions(m, parts, length, pooled, positions);
    }
    for (int32_t label = 0; label < m->labels; label++) {
        Floats sum = all(0.0f);
        for (int32_t f = 0; f < F; f += LANES)
            sum = multiply_add(load(pooled + f), load(m->classifier + (size_t)label * F + f), sum);
        const float logit = sum_lanes(sum) + m->classifier_bias[label], size = logit < 0 ? -logit : logit;
        float lanes[LANES];
        store(lanes, exponential(all(size < 87.0f ? -size : -87.0f)));
        probabilities[label] = (logit < 0 ? lanes[0] : 1.0f) / (1.0f + lanes[0]);
        if (!(size < INFINITY) || !finite) probabilities[label] = NAN;
    }
}

/* Compute *texts* texts whose ids lie end to end; the caller has checked every number. */
static void forward(const Model *m, const int32_t *ids, const int32_t *lengths, int32_t texts, int32_t tokens,
                    float *probabilities, Maxima maxima, uint8_t *workspace) {
    const size_t rows = round_up(tokens, ROWS);
    Workspace w;
    lay_out(m, tokens, workspace, &w);
    embed(m, ids, lengths, texts, rows, &w);
    for (int32_t number = 0; number < m->layers; number++) {
        const Layer *layer = &m->layer[number];
        for (size_t start = 0; start < rows; start += TILE)
            project(&layer->qkv, w.hidden_q_TC + start * m->dim, w.steps_T + start,
                    rows - start < TILE ? rows - start : TILE, w.projected_T3C + start * layer->qkv.outputs);
        attend(m, &w, lengths, texts, rows);
        finish_layer(m, layer, rows, &w);
    }
    for (size_t start = 0; start < rows; start += TILE)
        project(&m->convolution, w.hidden_q_TC + start * m->dim, w.steps_T + start,
                rows - start < TILE ? rows - start : TILE, w.projected_T3C + start * m->convolution.outputs);
    size_t token = 0;
    for (int32_t text = 0; text < texts; token += lengths[text], text++) {
        const size_t first = (size_t)text * m->channels;
        classify(m, &w, token, lengths[text], probabilities + (size_t)text * m->labels,
                 maxima.values ? maxima.values + first : NULL, maxima.values ? maxima.positions + first : NULL);
    }
}

static size_t measure(const Model *m, int32_t tokens) {
    Workspace w;
    return lay_out(m, tokens, NULL, &w);
}

const Path EMOTAG_PATH = {EMOTAG_NAME, PANEL, measure, forward};
