/* WordPiece: turn texts into the same token ids as Python's `tokenizers`.
 *
 * A text is read once, character by character. A table says for each character if it is a part of the word before it, a
 * word by itself, or a space. Each complete word is split into the longest pieces that the vocabulary has.
 */
#include "wordpiece.h"

#include <string.h>

enum { OUT_OF_RANGE = -1, READ_BY_PYTHON = -1 };

typedef struct {
    int32_t length, characters; /* bytes in use; characters of the whole word, even if they do not all fit */
    uint8_t bytes[WORD_BYTES];
} Word;

/* The ids of one text. There is always room for the last special token. */
typedef struct {
    int32_t *ids;
    int32_t used, most, truncated;
} Row;

/* FNV-1a, which extends the hash of a prefix by one byte. Inner pieces begin with another value, so `ing` and `##ing`
 * have different hashes. */
static uint32_t begin_hash(int inside) { return inside ? 0x9e3779b9u : 0x811c9dc5u; }
static uint32_t extend_hash(uint32_t hash, uint8_t byte) { return (hash ^ byte) * 0x01000193u; }

/* The low bits of FNV-1a alone would depend on the low bits of the bytes alone. */
static uint32_t place(const Vocabulary *vocabulary, uint32_t hash) {
    return (hash ^ hash >> 15) & (vocabulary->places - 1);
}

/* Fill the empty hash table with the pieces. *ends*: the end of each piece in `pieces`. *prefix*: the
 * mark of an inner piece, ##.
 *
 * Returns 0, or a negative number if the table is too small or a piece is out of range.
 */
int32_t emotag_wordpiece_fill(Vocabulary *vocabulary, const char *prefix, const int32_t *ends, const int32_t *ids,
                              int32_t count, size_t bytes) {
    const size_t prefix_length = strlen(prefix);
    size_t start = 0;
    if (count < 0 || (uint32_t)count >= vocabulary->places || vocabulary->places & (vocabulary->places - 1))
        return OUT_OF_RANGE;
    vocabulary->longest = 0;
    for (int32_t number = 0; number < count; number++) {
        const size_t end = (size_t)ends[number];
        if (ends[number] < 0 || end < start || end > bytes) return OUT_OF_RANGE;
        const int inside = end - start > prefix_length && !memcmp(vocabulary->pieces + start, prefix, prefix_length);
        const size_t from = inside ? start + prefix_length : start, length = end - from;
        start = end;
        if (!length || length > WORD_BYTES) continue; /* no word contains it */
        uint32_t hash = begin_hash(inside);
        for (size_t byte = from; byte < end; byte++) hash = extend_hash(hash, vocabulary->pieces[byte]);
        uint32_t at = place(vocabulary, hash);
        while (vocabulary->slots[at].length) at = (at + 1) & (vocabulary->places - 1);
        vocabulary->slots[at] = (Slot){hash, ids[number], (uint32_t)from, (uint16_t)length, (uint16_t)inside};
        if ((int32_t)length > vocabulary->longest) vocabulary->longest = (int32_t)length;
    }
    return 0;
}

/* Return the slot of a piece, or NULL. */
static const Slot *find_piece(const Vocabulary *vocabulary, uint32_t hash, const uint8_t *bytes, int32_t length,
                              int inside) {
    for (uint32_t at = place(vocabulary, hash);; at = (at + 1) & (vocabulary->places - 1)) {
        const Slot *slot = &vocabulary->slots[at];
        if (!slot->length) return NULL; /* the table always has a free place */
        if (slot->hash == hash && slot->length == length && slot->inside == inside &&
            !memcmp(vocabulary->pieces + slot->start, bytes, (size_t)length))
            return slot;
    }
}

/* Split a word into the longest pieces from its beginning, and return their number.
 *
 * A word is one unknown token if it is too long, or if no piece fits at some position. A piece never ends within a
 * character, because the vocabulary is UTF-8 too.
 */
static int32_t split_word(const Vocabulary *vocabulary, const Word *word, int32_t *ids) {
    int32_t count = 0, start = 0;
    uint32_t hashes[WORD_BYTES + 1]; /* of the prefixes of the rest, by their length */
    while (word->characters <= WORD_CHARACTERS && start < word->length) {
        const uint8_t *rest = word->bytes + start;
        int32_t length = word->length - start;
        if (length > vocabulary->longest) length = vocabulary->longest;
        hashes[0] = begin_hash(start > 0);
        for (int32_t byte = 0; byte < length; byte++) hashes[byte + 1] = extend_hash(hashes[byte], rest[byte]);
        const Slot *found = NULL;
        while (length && !(found = find_piece(vocabulary, hashes[length], rest, length, start > 0))) length--;
        if (!found) break;
        ids[count++] = found->id;
        start += length;
    }
    if (start == word->length && word->characters <= WORD_CHARACTERS) return count;
    ids[0] = vocabulary->unknown;
    return 1;
}

/* Add the word's pieces to the row, and empty the word. */
static void finish_word(const Vocabulary *vocabulary, Word *word, Row *row) {
    if (!word->characters) return;
    int32_t pieces[WORD_CHARACTERS];
    int32_t count = split_word(vocabulary, word, pieces);
    if (count > row->most - row->used) {
        count = row->most - row->used;
        row->truncated = 1;
    }
    memcpy(row->ids + row->used, pieces, (size_t)count * sizeof *pieces);
    row->used += count;
    word->length = word->characters = 0;
}

static void extend_word(Word *word, const Character *character) {
    if (++word->characters > WORD_CHARACTERS) return; /* it is unknown, and its bytes do not matter */
    memcpy(word->bytes + word->length, character->bytes, CHARACTER_BYTES);
    word->length += character->length;
}

/* Return the code point at *at*, and move *at* behind it. A character that *end* cuts has no code point. */
static uint32_t decode(const uint8_t **at, const uint8_t *end) {
    const uint32_t lead = *(*at)++;
    if (lead < 0x80) return lead;
    int32_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    uint32_t code = lead & (0x3fu >> more);
    for (; more && *at < end; more--) code = code << 6 | (*(*at)++ & 0x3fu);
    return more ? UINT32_MAX : code;
}

/* Return where a text of so many characters ends, or NULL if the bytes end before it does. */
static const uint8_t *find_end(const uint8_t *at, const uint8_t *end, int32_t characters) {
    for (; characters > 0 && at < end; characters--)
        do at++;
        while (at < end && (*at & 0xc0) == 0x80);
    return characters ? NULL : at;
}

/* Return 1 if an added token is at *at*. */
static int is_added(const Vocabulary *vocabulary, const uint8_t *at, const uint8_t *end) {
    for (const char *token = vocabulary->added; *token; token += strlen(token) + 1)
        if (strlen(token) <= (size_t)(end - at) && !memcmp(token, at, strlen(token))) return 1;
    return 0;
}

/* Return the number of tokens of one text, or READ_BY_PYTHON.
 *
 * Reading stops when the window is full, because later characters do not change earlier tokens.
 */
static int32_t read_text(const Vocabulary *vocabulary, const uint8_t *at, const uint8_t *end, Row *row) {
    static const Character unsupported = {0};
    Word word;
    word.length = word.characters = 0;
    row->ids[row->used++] = vocabulary->first;
    while (at < end && !row->truncated) {
        if (*at == '[' && is_added(vocabulary, at, end)) return READ_BY_PYTHON;
        const uint32_t code = decode(&at, end);
        const Character *character = code < vocabulary->code_points ? &vocabulary->characters[code] : &unsupported;
        switch (character->kind) {
        case PART: extend_word(&word, character); break;
        case DROPPED: break;
        case SPACE: finish_word(vocabulary, &word, row); break;
        case ALONE:
            finish_word(vocabulary, &word, row);
            extend_word(&word, character);
            finish_word(vocabulary, &word, row);
            break;
        default: return READ_BY_PYTHON;
        }
    }
    finish_word(vocabulary, &word, row);
    row->ids[row->used++] = vocabulary->last;
    return row->used;
}

/* Write the ids of all texts end to end.
 *
 * utf8 has the texts end to end, and *lengths* their characters. A text of more than most_characters is left to Python.
 * Each text has at most max_tokens ids, at least two: longer ones keep their first ids and the last special token.
 * Returns 0, or a negative number if a length, max_tokens or the capacity of *ids* is out of range.
 */
int32_t emotag_wordpiece(const Vocabulary *vocabulary, const uint8_t *utf8, size_t bytes, const int32_t *lengths,
                         int32_t texts, int32_t most_characters, int32_t max_tokens, int32_t *ids, size_t capacity,
                         Found *found) {
    const uint8_t *at = utf8, *end = utf8 + bytes;
    size_t used = 0;
    if (max_tokens < 2) return OUT_OF_RANGE;
    for (int32_t text = 0; text < texts; text++) {
        const uint8_t *text_end = lengths[text] < 0 ? NULL : find_end(at, end, lengths[text]);
        if (!text_end || capacity - used < (size_t)max_tokens) return OUT_OF_RANGE;
        Row row = {ids + used, 0, max_tokens - 1, 0};
        int32_t tokens = READ_BY_PYTHON;
        if (lengths[text] <= most_characters) tokens = read_text(vocabulary, at, text_end, &row);
        int32_t unknown = 0;
        for (int32_t token = 0; token < tokens; token++) unknown += row.ids[token] == vocabulary->unknown;
        found[text] = (Found){tokens, unknown, row.truncated};
        if (tokens > 0) used += (size_t)tokens;
        at = text_end;
    }
    return at == end ? 0 : OUT_OF_RANGE;
}
