/* Sixteen floats in one register, and the 8-bit product with AVX-512 VNNI. */
#include <immintrin.h>

typedef __m512 Floats;
enum { PANEL = 64 };

#define INLINE static inline __attribute__((always_inline))

INLINE Floats all(float x) { return _mm512_set1_ps(x); }
INLINE Floats load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store(float *p, Floats x) { _mm512_storeu_ps(p, x); }
INLINE Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
INLINE Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
INLINE Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
INLINE Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
INLINE Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
INLINE Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
INLINE Floats magnitude(Floats a) { return _mm512_abs_ps(a); }
INLINE Floats round_even(Floats a) { return _mm512_roundscale_ps(a, 0); }
INLINE Floats from_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

/* Return the integers minus *zeros*, as floats. */
INLINE Floats from_integers(const int32_t *p, const int32_t *zeros) {
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(p), _mm512_loadu_si512(zeros)));
}

/* Return x times 2 to the power of n, which is a whole number from -126 to 127. */
INLINE Floats times_power(Floats x, Floats n) {
    __m512i exponent = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(x, _mm512_castsi512_ps(exponent));
}

/* Store the floats, rounded to the nearest integer (ties to even), plus *zero*, within [0, 255]. */
INLINE void store_activations(Activation *p, Floats x, int zero) {
    __m512i rounded = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(zero));
    rounded = _mm512_max_epi32(rounded, _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(rounded));
}

INLINE __m256 fold(Floats x, int largest) {
    __m256 low = _mm512_castps512_ps256(x);
    __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
    return largest ? _mm256_max_ps(low, high) : _mm256_add_ps(low, high);
}

/* c = a b for ROWS rows of *a*, and the PANEL outputs of a panel: [ROWS][PANEL]. */
static __attribute__((noinline)) void multiply_tile(const Activation *a, size_t stride, const int8_t *panel,
                                                    int32_t inputs, int32_t *c) {
    __m512i sum[ROWS][4];
#pragma GCC unroll 6
    for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) sum[row][part] = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int32_t input = 0; input < inputs; input += GROUP, panel += PANEL * GROUP) {
        __m512i b[4];
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) b[part] = _mm512_loadu_si512(panel + 64 * part);
#pragma GCC unroll 6
        for (int row = 0; row < ROWS; row++) {
            int32_t four;
            __builtin_memcpy(&four, a + row * stride + input, sizeof four);
            __m512i broadcast = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++)
                sum[row][part] = _mm512_dpbusd_epi32(sum[row][part], broadcast, b[part]);
        }
    }
#pragma GCC unroll 6
    for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) _mm512_storeu_si512(c + row * PANEL + 16 * part, sum[row][part]);
}

#include "fold.h"
