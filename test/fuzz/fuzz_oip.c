/* Answers of model servers. The input is a byte (how many rows were asked for) and the body; what
 * is read as scores are numbers, and what is said to be wrong is text. */
#include "fuzz.h"

#include "flow/oip.h"

#include <math.h>

#define ROWS_MAX 255

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double scores[ROWS_MAX];
    struct err_text why = {""};
    struct arena arena;
    struct rd in;
    bool single = false;
    rd_init(&in, data, size);
    uint32_t n = rd_u8(&in);
    n = n > 0 ? n : 1;
    struct str body = {(const char *)in.at, rd_left(&in)};
    arena_init(&arena, 1 << 16);
    for (int named = 0; named < 2; named++) {
        struct str output = named ? STR_LIT("predict") : (struct str){NULL, 0};
        enum err err = oip_read_scores(body, output, n, scores, &single, &why);
        weir_assert(err == ERR_OK || why.s[0] != '\0');
        for (uint32_t i = 0; err == ERR_OK && i < n; i++)
            weir_assert(isfinite(scores[i]));
    }
    (void)oip_read_error(body, &arena);
    arena_free(&arena);
    return 0;
}
