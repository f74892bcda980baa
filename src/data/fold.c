/* Latin-1 Supplement and Latin Extended-A by table: the letters of French names and of the European
 * languages people in France are named in. */
#include "data/fold.h"

#include <stdlib.h>

/* From U+00C0; '.' separates; two-letter forms are listed apart. */
static const char table[] = "aaaaaa.ceeeeiiii"  /* C0 */
                            "dnooooo.ouuuuy.."  /* D0 */
                            "aaaaaa.ceeeeiiii"  /* E0 */
                            "dnooooo.ouuuuy.y"  /* F0 */
                            "aaaaaaccccccccdd"  /* 100 */
                            "ddeeeeeeeeeegggg"  /* 110 */
                            "gggghhhhiiiiiiii"  /* 120 */
                            "ii..jjkkkllllll."  /* 130 */
                            "lllnnnnnnnnnoooo"  /* 140 */
                            "oo..rrrrrrssssss"  /* 150 */
                            "ssttttttuuuuuuuu"  /* 160 */
                            "uuuuwwyyyzzzzzzs"; /* 170 */

static const char *two_letters(uint32_t code)
{
    switch (code) {
    case 0xC6:
    case 0xE6:
        return "ae";
    case 0x152:
    case 0x153:
        return "oe";
    case 0xDF:
        return "ss";
    default:
        return NULL;
    }
}

static void add(char *out, size_t *n, char c)
{
    if (c == ' ' && (*n == 0 || out[*n - 1] == ' '))
        return;
    out[(*n)++] = c;
}

struct str text_fold(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 2);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 'A' && c <= 'Z') {
            add(out, &n, (char)(c + 32));
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            add(out, &n, (char)c);
        } else if ((c == 0xCC || c == 0xCD) && i + 1 < s.n &&
                   (c == 0xCC || (unsigned char)s.p[i + 1] < 0xB0)) {
            i++; /* U+0300 to U+036F: an accent that follows its letter (NFD) */
        } else if (c >= 0xC3 && c <= 0xC5 && i + 1 < s.n) {
            uint32_t code = (uint32_t)(c & 0x1F) << 6 | ((unsigned char)s.p[++i] & 0x3F);
            const char *two = two_letters(code);
            if (two) {
                add(out, &n, two[0]);
                add(out, &n, two[1]);
            } else {
                char letter = code - 0xC0 < sizeof table - 1 ? table[code - 0xC0] : '.';
                add(out, &n, letter == '.' ? ' ' : letter);
            }
        } else {
            add(out, &n, ' ');
            while (i + 1 < s.n && ((unsigned char)s.p[i + 1] & 0xC0) == 0x80)
                i++;
        }
    }
    while (n && out[n - 1] == ' ')
        n--;
    return str_of(out, n);
}

int text_distance(struct str a, struct str b, int most)
{
    int rows[3][TEXT_DISTANCE_MAX + 1];
    if (a.n > TEXT_DISTANCE_MAX || b.n > TEXT_DISTANCE_MAX || abs((int)a.n - (int)b.n) > most)
        return most + 1;
    for (size_t k = 0; k <= b.n; k++)
        rows[0][k] = (int)k;
    for (size_t i = 1; i <= a.n; i++) {
        int *now = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3], least;
        now[0] = least = (int)i;
        for (size_t k = 1; k <= b.n; k++) {
            int cost = up[k - 1] + (a.p[i - 1] != b.p[k - 1]);
            cost = up[k] + 1 < cost ? up[k] + 1 : cost;
            cost = now[k - 1] + 1 < cost ? now[k - 1] + 1 : cost;
            if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1] &&
                up2[k - 2] + 1 < cost)
                cost = up2[k - 2] + 1;
            now[k] = cost;
            least = cost < least ? cost : least;
        }
        if (least > most)
            return most + 1;
    }
    return rows[a.n % 3][b.n] > most ? most + 1 : rows[a.n % 3][b.n];
}
