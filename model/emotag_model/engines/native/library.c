/* What Python calls: the choice of a path, and the check of every number before it is used. */
#include "forward.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
extern const Path emotag_avx512, emotag_avxvnni, emotag_avx2;

/* Older compilers do not know this name. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1;
}

#ifdef HAVE_avxvnni
static int has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}
#endif
#endif
extern const Path emotag_portable;

/* The sources that were compiled. Python compares them with those that it would call. */
const char *emotag_sources(void) { return EMOTAG_SOURCES; }

enum { OUT_OF_RANGE = -1, TOO_LITTLE_MEMORY = -2 };

/* Write pointers to the paths that this processor can run into *found*, the fastest first, at most *most*. Return their
 * number. */
int32_t emotag_paths(const Path **found, int32_t most) {
    int32_t count = 0;
#define OFFER(path, possible) if (count < most && (possible)) found[count++] = &(path)
#if defined(__x86_64__)
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
#ifdef HAVE_avx512
    OFFER(emotag_avx512, avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"));
#endif
#ifdef HAVE_avxvnni
    OFFER(emotag_avxvnni, avx2 && has_avxvnni());
#endif
#ifdef HAVE_avx2
    OFFER(emotag_avx2, avx2);
#endif
#endif
    OFFER(emotag_portable, 1);
    return count;
}

/* Return the bytes of working memory for a batch of so many tokens. */
size_t emotag_workspace(const Path *path, const Model *model, int32_t tokens) { return path->measure(model, tokens); }

/* Write probabilities [texts][labels], and, if *values* is not NULL, the maxima [texts][channels] of the convolution.
 *
 * ids has the tokens of all texts, end to end; *tokens* is their number. The workspace is aligned to 64 bytes and
 * belongs to one call at a time. Returns 0, or a negative number if an id, a length or the memory is out of range, or
 * if only one of *values* and *positions* is NULL.
 */
int32_t emotag_forward(const Path *path, const Model *model, const int32_t *ids, int32_t tokens, const int32_t *lengths,
                       int32_t texts, float *probabilities, float *values, int32_t *positions, uint8_t *workspace,
                       size_t workspace_bytes) {
    int64_t total = 0;
    if (!values != !positions) return OUT_OF_RANGE;
    for (int32_t text = 0; text < texts; text++) {
        if (lengths[text] < 1 || lengths[text] > model->positions) return OUT_OF_RANGE;
        total += lengths[text];
    }
    if (total != tokens || tokens < 1) return OUT_OF_RANGE;
    for (int32_t token = 0; token < tokens; token++)
        if (ids[token] < 0 || ids[token] >= model->words) return OUT_OF_RANGE;
    if (path->measure(model, tokens) > workspace_bytes) return TOO_LITTLE_MEMORY;
    path->forward(model, ids, lengths, texts, tokens, probabilities, (Maxima){values, positions}, workspace);
    return 0;
}
