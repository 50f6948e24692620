/* Sixteen floats in an array, and the product of integers in plain C: right on every processor, fast on none. */
#include <math.h>
#include <string.h>

typedef struct {
    float lane[LANES];
} Floats;
enum { PANEL = 16 };

#define INLINE static inline
#define EACH(expression)                         \
    Floats result;                               \
    for (int i = 0; i < LANES; i++) result.lane[i] = (expression); \
    return result

INLINE Floats all(float x) { EACH(x); }
INLINE Floats load(const float *p) { EACH(p[i]); }
INLINE void store(float *p, Floats x) { memcpy(p, x.lane, sizeof x.lane); }
INLINE Floats add(Floats a, Floats b) { EACH(a.lane[i] + b.lane[i]); }
INLINE Floats subtract(Floats a, Floats b) { EACH(a.lane[i] - b.lane[i]); }
INLINE Floats multiply(Floats a, Floats b) { EACH(a.lane[i] * b.lane[i]); }
INLINE Floats multiply_add(Floats a, Floats b, Floats c) { EACH(fmaf(a.lane[i], b.lane[i], c.lane[i])); }
INLINE Floats larger(Floats a, Floats b) { EACH(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }
INLINE Floats smaller(Floats a, Floats b) { EACH(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); }
INLINE Floats magnitude(Floats a) { EACH(fabsf(a.lane[i])); }
INLINE Floats round_even(Floats a) { EACH(rintf(a.lane[i])); }
INLINE Floats times_power(Floats x, Floats n) { EACH(ldexpf(x.lane[i], (int)n.lane[i])); }
INLINE Floats from_integers(const int32_t *p, const int32_t *zeros) { EACH((float)(p[i] - zeros[i])); }

/* Convert sixteen float16 numbers. Infinity and NaN are not among them: weights are finite. */
INLINE Floats from_half(const uint16_t *p) {
    Floats result;
    for (int i = 0; i < LANES; i++) {
        const int exponent = p[i] >> 10 & 31, fraction = p[i] & 1023;
        const float size = exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
        result.lane[i] = p[i] >> 15 ? -size : size;
    }
    return result;
}

INLINE void store_activations(Activation *p, Floats x, int zero) {
    for (int i = 0; i < LANES; i++) p[i] = (Activation)(lrintf(x.lane[i]) + zero);
}

INLINE float sum_lanes(Floats x) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) x.lane[i] += x.lane[i + half];
    return x.lane[0];
}

INLINE float largest_lane(Floats x) {
    float largest = x.lane[0];
    for (int i = 1; i < LANES; i++) largest = x.lane[i] > largest ? x.lane[i] : largest;
    return largest;
}

/* c = a b for ROWS rows of *a*, and the PANEL outputs of a panel: [ROWS][PANEL]. */
static void multiply_tile(const Activation *a, size_t stride, const int8_t *panel, int32_t inputs, int32_t *c) {
    memset(c, 0, sizeof(int32_t) * ROWS * PANEL);
    for (int32_t input = 0; input < inputs; input += GROUP, panel += PANEL * GROUP)
        for (int row = 0; row < ROWS; row++)
            for (int output = 0; output < PANEL; output++)
                for (int i = 0; i < GROUP; i++)
                    c[row * PANEL + output] += a[row * stride + input + i] * panel[GROUP * output + i];
}
