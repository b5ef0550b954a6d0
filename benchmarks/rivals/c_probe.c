/* The ceiling that c_probe.py describes: one row of the WaveNet, written for this processor.

   Weights are int8 with a scale for each output, activations int16; pairs are multiplied and
   added by one instruction. Matrices lie as (tile of 64 outputs, pair of inputs, output, 2). */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

enum { TILE = 64, AHEAD = 16, CLASSES = 256, WIDEST = 4096 };
#define PEAK 8191.0f

#ifdef __AVX512BW__
typedef __m512i whole;
enum { LANES = 32 };
#define spread _mm512_set1_epi32
#define widen(p) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p)))
#define store(p, v) _mm512_storeu_si512(p, v)
#define plus _mm512_add_epi32
#define nought _mm512_setzero_si512()
#ifdef __AVX512VNNI__
#define add_pairs(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#else
#define add_pairs(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
#endif
#else
typedef __m256i whole;
enum { LANES = 16 };
#define spread _mm256_set1_epi32
#define widen(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p)))
#define store(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define plus _mm256_add_epi32
#define nought _mm256_setzero_si256()
#define add_pairs(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#endif
enum { VECTORS = 2 * TILE / LANES };

/* weights (count, outputs, inputs) tiled; scales (count, outputs); sizes filled up. */
typedef struct {
    const int8_t *weights;
    const float *scales;
    int64_t outputs, inputs;
} matrix;

typedef struct {
    int64_t layers, residual, skips, mels;
    const int64_t *dilations;
    const float *embedding, *gate_bias, *residual_bias, *skip_bias, *out_bias, *end_bias;
    matrix past, now, mel, residuals, skip, out, end;
} network;

/* sums[outputs] += the matrix of that number @ x * unit. */
static void add(const matrix *m, int64_t number, const int16_t *x, float unit,
                float *restrict sums) {
    const int8_t *w = m->weights + number * m->outputs * m->inputs;
    const float *scales = m->scales + number * m->outputs;
    for (int64_t tile = 0; tile < m->outputs; tile += TILE) {
        whole total[VECTORS], other[VECTORS];
        for (int i = 0; i < VECTORS; i++) total[i] = other[i] = nought;
        int64_t k = 0;
        /* Two sums for each output, since one instruction cannot wait for the one before. */
        for (; k + 2 < m->inputs; k += 4, w += 4 * TILE) {
            const whole pair = spread(*(const int32_t *)(x + k));
            const whole next = spread(*(const int32_t *)(x + k + 2));
            for (int i = 0; i < 4; i++) _mm_prefetch((const char *)w + 2048 + 64 * i, 3);
            for (int i = 0; i < VECTORS; i++) {
                total[i] = add_pairs(total[i], widen(w + LANES * i), pair);
                other[i] = add_pairs(other[i], widen(w + 2 * TILE + LANES * i), next);
            }
        }
        for (; k < m->inputs; k += 2, w += 2 * TILE)
            for (int i = 0; i < VECTORS; i++)
                total[i] = add_pairs(
                    total[i], widen(w + LANES * i), spread(*(const int32_t *)(x + k)));
        int32_t whole_sums[TILE];
        for (int i = 0; i < VECTORS; i++)
            store(whole_sums + i * LANES / 2, plus(total[i], other[i]));
        for (int j = 0; j < TILE; j++) sums[tile + j] += unit * scales[tile + j] * whole_sums[j];
    }
}

/* x as whole numbers up to PEAK; returns what one of them is worth. */
static float rounded(const float *restrict x, int64_t count, int16_t *restrict y) {
    float largest = 1e-20f;
    for (int64_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(x[i]));
    const float many = PEAK / largest;
    for (int64_t i = 0; i < count; i++) y[i] = (int16_t)(int32_t)floorf(x[i] * many + 0.5f);
    return largest / PEAK;
}

static float tanh_near(float x) {
    x = fminf(fmaxf(x, -7.905f), 7.905f);
    const float s = x * x;
    const float p = 4.89352455891786e-03f + s * (6.37261928875436e-04f + s * (1.48572235717979e-05f
        + s * (5.12229709037114e-08f + s * (-8.60467152213735e-11f + s * (2.00018790482477e-13f
        - s * 2.76076847742355e-16f)))));
    return x * p / (4.89352518554385e-03f + s * (2.26843463243900e-03f + s
        * (1.18534705686654e-04f + s * 1.19825839466702e-06f)));
}

static int64_t draw(float *logits, float u) {
    float top = logits[0], total = 0;
    for (int i = 1; i < CLASSES; i++) top = fmaxf(top, logits[i]);
    for (int i = 0; i < CLASSES; i++) logits[i] = expf(logits[i] - top);
    for (int i = 0; i < CLASSES; i++) logits[i] = total += logits[i];
    int64_t chosen = 0;
    for (int i = 0; i < CLASSES; i++) chosen += logits[i] <= u * total;
    return chosen < CLASSES ? chosen : CLASSES - 1;
}

/* One row: conditioning (n, mels), history (sum of dilations, R), draws and drawn (n,); led by
   forced (n,) unless NULL; logits (n, 256) unless NULL. */
void walk(const network *net, const float *conditioning, float *history, int64_t *position,
          int64_t *last, const float *draws, const int64_t *forced, int64_t *drawn,
          float *logits, int64_t n) {
    const int64_t layers = net->layers, r = net->residual;
    static _Thread_local float gates[AHEAD][WIDEST * 4];
    static _Thread_local int16_t z[WIDEST], x16[WIDEST], heard[AHEAD][WIDEST];
    float units[AHEAD];
    float x[WIDEST], skip[WIDEST], out[WIDEST], end[WIDEST];
    for (int64_t begin = 0; begin < n; begin += AHEAD) {
        const int64_t steps = n - begin < AHEAD ? n - begin : AHEAD;
        const int64_t width = net->now.outputs;
        for (int64_t s = 0; s < steps; s++)
            units[s] = rounded(conditioning + (begin + s) * net->mels, net->mels, heard[s]);
        for (int64_t l = 0; l < layers; l++)
            for (int64_t s = 0; s < steps; s++) {
                for (int64_t i = 0; i < 2 * r; i++)
                    gates[s][l * width + i] = net->gate_bias[l * 2 * r + i];
                add(&net->mel, l, heard[s], units[s], gates[s] + l * width);
            }
        int64_t ring = 0;
        for (int64_t l = 0; l < layers; ring += net->dilations[l++])
            for (int64_t s = 0; s < steps && net->dilations[l] >= AHEAD; s++) {
                const int64_t slot = ring + (*position + s) % net->dilations[l];
                const float unit = rounded(history + slot * r, r, x16);
                add(&net->past, l, x16, unit, gates[s] + l * width);
            }
        for (int64_t s = 0; s < steps; s++, ++*position) {
            const int64_t t = begin + s;
            for (int64_t i = 0; i < r; i++) x[i] = net->embedding[*last * r + i];
            ring = 0;
            for (int64_t l = 0; l < layers; ring += net->dilations[l++]) {
                float *own = gates[s] + l * width;
                float *slot = history + (ring + *position % net->dilations[l]) * r;
                if (net->dilations[l] < AHEAD) {
                    const float unit = rounded(slot, r, x16);
                    add(&net->past, l, x16, unit, own);
                }
                const float unit = rounded(x, r, x16);
                add(&net->now, l, x16, unit, own);
                const float *bias = net->residual_bias + l * r;
                int16_t *made = z + l * r;
#pragma GCC ivdep
                for (int64_t i = 0; i < r; i++) {
                    slot[i] = x[i];
                    x[i] += bias[i];
                }
#pragma GCC ivdep
                for (int64_t i = 0; i < r; i++) {
                    const float gated = 0.5f + 0.5f * tanh_near(0.5f * own[r + i]);
                    made[i] = (int16_t)(int32_t)floorf(PEAK * tanh_near(own[i]) * gated + 0.5f);
                }
                add(&net->residuals, l, z + l * r, 1 / PEAK, x);
            }
            for (int64_t i = 0; i < net->skip.outputs; i++)
                skip[i] = i < net->skips ? net->skip_bias[i] : 0;
            for (int64_t i = 0; i < net->out.outputs; i++)
                out[i] = i < net->skips ? net->out_bias[i] : 0;
            for (int64_t i = 0; i < CLASSES; i++) end[i] = net->end_bias[i];
            add(&net->skip, 0, z, 1 / PEAK, skip);
            for (int64_t i = 0; i < net->skips; i++) skip[i] = fmaxf(skip[i], 0);
            float scale = rounded(skip, net->skips, x16);
            add(&net->out, 0, x16, scale, out);
            for (int64_t i = 0; i < net->skips; i++) out[i] = fmaxf(out[i], 0);
            scale = rounded(out, net->skips, x16);
            add(&net->end, 0, x16, scale, end);
            if (logits)
                for (int64_t i = 0; i < CLASSES; i++) logits[t * CLASSES + i] = end[i];
            drawn[t] = draw(end, draws[t]);
            *last = forced ? forced[t] : drawn[t];
        }
    }
}
