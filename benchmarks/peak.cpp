// The most products of 8-bit numbers a second that one core sums exactly in int32, on registers alone:
// vpdpbusd where there is one, else vpmaddwd and vpaddd on int16, as the kernels of this machine do.
#include <cpuid.h>
#include <cstdio>
#include <ctime>

#define REGISTERS                                                                                             \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13"
#define TWELVE(STEP) \
    STEP(12, 0) STEP(13, 1) STEP(12, 2) STEP(13, 3) STEP(12, 4) STEP(13, 5) STEP(12, 6) STEP(13, 7) \
    STEP(12, 8) STEP(13, 9) STEP(12, 10) STEP(13, 11)
#define WORDS(product, sum, r)                                                        \
    "vpmaddwd %%" r "14, %%" r "15, %%" r #product "\n\t"                             \
    "vpaddd %%" r #product ", %%" r #sum ", %%" r #sum "\n\t"
#define WORDS_256(product, sum) WORDS(product, sum, "ymm")
#define WORDS_512(product, sum) WORDS(product, sum, "zmm")
#define BYTES_256(unused, sum) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #sum "\n\t"
#define BYTES_512(unused, sum) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #sum "\n\t"

// Billions of products a second of the process's own time, with twelve sums of `products` at a time.
#define RATE(STEP, products)                                                            \
    [] {                                                                                \
        constexpr long count = 50000000;                                                \
        const std::clock_t start = std::clock();                                        \
        for (long i = 0; i < count; ++i) asm volatile(TWELVE(STEP) : : : REGISTERS);    \
        const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;           \
        return count * 12.0 * products / seconds / 1e9;                                 \
    }()

int main() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(7, 1, &a, &b, &c, &d);
    const bool avx_vnni = a >> 4 & 1;
    double rate = 0;
    if (__builtin_cpu_supports("avx512vnni")) rate = RATE(BYTES_512, 64);
    else if (avx_vnni && __builtin_cpu_supports("avx2")) rate = RATE(BYTES_256, 32);
    else if (__builtin_cpu_supports("avx512bw")) rate = RATE(WORDS_512, 32);
    else if (__builtin_cpu_supports("avx2")) rate = RATE(WORDS_256, 16);
    std::printf("%.2f\n", rate);
}
