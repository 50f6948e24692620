/* A WordPiece tokenizer's tables in memory, shared by the C code and by `wordpiece.py`, which fills them.
 *
 * Python owns every array; the C code allocates nothing and keeps nothing.
 */
#ifndef EMOTAG_WORDPIECE_H
#define EMOTAG_WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

enum {
    WORD_CHARACTERS = 100, /* a longer word is unknown, whatever it contains */
    CHARACTER_BYTES = 4,   /* of UTF-8 */
    WORD_BYTES = WORD_CHARACTERS * CHARACTER_BYTES
};

/* What the tokenizer does with a character of a text. */
enum {
    UNSUPPORTED, /* Python's tokenizer must read the whole text */
    DROPPED,     /* the text reads as if the character were not there */
    SPACE,       /* between two words */
    ALONE,       /* a word by itself, such as a comma */
    PART         /* of a longer word */
};

typedef struct {
    uint8_t kind, length;           /* of the bytes; 0 unless the kind is ALONE or PART */
    uint8_t bytes[CHARACTER_BYTES]; /* the character after normalization, such as e for É */
} Character;

/* A place in the hash table of pieces. */
typedef struct {
    uint32_t hash;
    int32_t id;
    uint32_t start;  /* of the piece in `pieces`, without the prefix */
    uint16_t length; /* 0: the place is free */
    uint16_t inside; /* 1: the piece has the prefix ##, and does not begin a word */
} Slot;

_Static_assert(sizeof(Character) == 6 && sizeof(Slot) == 16, "wordpiece.py has other sizes");

typedef struct {
    Slot *slots;                 /* zeros before `emotag_wordpiece_fill` */
    const uint8_t *pieces;       /* the vocabulary end to end, in UTF-8 */
    const Character *characters; /* by code point; later code points are UNSUPPORTED */
    const char *added;           /* tokens such as [CLS], which are found before words are; each ends with a zero byte,
                                    and the list with another one */
    uint32_t places;             /* of slots: a power of two, more than there are pieces */
    uint32_t code_points;        /* of characters */
    int32_t longest;             /* bytes of the longest piece */
    int32_t unknown, first, last; /* ids */
} Vocabulary;

/* The result for one text. */
typedef struct {
    int32_t tokens; /* -1: Python's tokenizer must read the text */
    int32_t unknown, truncated;
} Found;

#endif
