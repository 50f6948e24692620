/* The model's layout in memory, shared by the C code and by `layout.py`, which fills it.
 *
 * Python owns every array; the C code allocates nothing and keeps nothing. T is tokens of a batch, C is `dim`, M is
 * `hidden`, V words, L positions, F channels, W places of the convolution's kernel, K labels.
 */
#ifndef EMOTAG_FORWARD_H
#define EMOTAG_FORWARD_H

#include <stddef.h>
#include <stdint.h>

/* A linear layer in 8-bit integers: y = (sum of x * weights - zeros) * step of the token * step of the output + bias */
typedef struct {
    int32_t inputs, outputs; /* multiples of GROUP, and of the path's `panel` */
    const int8_t *weights;   /* [outputs / panel][inputs / GROUP][panel][GROUP] */
    const float *steps;      /* [outputs] */
    const float *bias;       /* [outputs] */
    const int32_t *zeros;    /* [outputs] the part of the sum that comes from ZERO; 0 after GELU */
} Linear;

typedef struct {
    const float *gain, *bias; /* [C] */
} Norm;

typedef struct {
    Linear qkv, out, inner, outer; /* C to 3 C, C to C, C to M with GELU, M to C */
    Norm after_attention, after_inner;
} Layer;

typedef struct {
    int32_t dim, hidden, heads, layers, words, positions, channels, kernel, labels;
    float norm_epsilon;          /* of every layer norm; above zero */
    const uint16_t *words_half;  /* [V][C] in float16, or NULL */
    const float *words_single;   /* [V][C], used if words_half is NULL */
    const float *positions_LC;   /* [L][C] */
    Norm embedded;
    const Layer *layer;          /* [layers] */
    Linear convolution;          /* C to W F; its bias is zero */
    const float *convolution_bias; /* [F] */
    const float *classifier;     /* [K][F] */
    const float *classifier_bias; /* [K] */
} Model;

/* The largest value of each channel over the tokens of a text, and the first token that has it; both NULL if nobody
 * needs them. */
typedef struct {
    float *values;      /* [texts][F] */
    int32_t *positions; /* [texts][F] */
} Maxima;

/* The same computation with other instructions, and how it wants its weights. */
typedef struct {
    const char *name;
    int32_t panel;
    size_t (*measure)(const Model *, int32_t tokens); /* bytes of working memory */
    void (*forward)(const Model *, const int32_t *ids, const int32_t *lengths, int32_t texts, int32_t tokens,
                    float *probabilities, Maxima maxima, uint8_t *workspace);
} Path;

/* An unsigned 8-bit integer, because the instructions multiply unsigned by signed. Signed inputs (-127 to 127) are
 * stored with ZERO added. */
typedef uint8_t Activation;

enum {
    ZERO = 128,
    GROUP = 4, /* inputs that an instruction multiplies and adds for each output */
    ROWS = 6,  /* tokens that one micro-kernel multiplies at a time */
    TILE = 48, /* tokens between two products: their rows stay in the second-level cache */
    LANES = 16 /* floats that are computed at a time, whatever the width of a register */
};

static inline size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

#endif
