/* The instructions of a path, simulated by SIMDe, so that its code runs on any processor with AVX2. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

#ifdef SIMULATE_AVX512
#define __AVX512VNNI__ 1

/* SIMDe does not have these. */
static inline __m512 join(__m256 low, __m256 high) {
    return simde_mm512_insertf32x8(simde_mm512_castps256_ps512(low), high, 1);
}
#define _mm512_cvtph_ps(half) \
    join(_mm256_cvtph_ps(_mm256_castsi256_si128(half)), _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1)))

static inline __m512 simulate_cvtepi32_ps(__m512i x) {
    return join(_mm256_cvtepi32_ps(simde_mm512_castsi512_si256(x)),
                _mm256_cvtepi32_ps(simde_mm512_extracti64x4_epi64(x, 1)));
}
#define _mm512_cvtepi32_ps simulate_cvtepi32_ps

static inline __m512i simulate_cvtps_epi32(__m512 x) {
    const __m256i low = _mm256_cvtps_epi32(simde_mm512_castps512_ps256(x));
    const __m256i high = _mm256_cvtps_epi32(_mm256_castpd_ps(simde_mm512_extractf64x4_pd(simde_mm512_castps_pd(x), 1)));
    return simde_mm512_inserti64x4(simde_mm512_castsi256_si512(low), high, 1);
}
#define _mm512_cvtps_epi32 simulate_cvtps_epi32

static inline __m128i simulate_cvtusepi32_epi8(__m512i x) {
    uint8_t bytes[16];
    uint32_t words[16];
    simde_mm512_storeu_si512(words, x);
    for (int i = 0; i < 16; i++) bytes[i] = words[i] < 255 ? words[i] : 255;
    return _mm_loadu_si128((const __m128i *)bytes);
}
#define _mm512_cvtusepi32_epi8 simulate_cvtusepi32_epi8
#else
#define __AVXVNNI__ 1
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#endif
