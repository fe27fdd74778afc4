// The most 16-bit products a second that one core sums in int32: vpmaddwd and vpaddd on registers alone.
#include <chrono>
#include <cstdio>

int main() {
    constexpr long count = 50000000;
    const auto start = std::chrono::steady_clock::now();
    for (long i = 0; i < count; ++i) {
#define STEP(product, sum)                              \
    "vpmaddwd %%ymm14, %%ymm15, %%ymm" #product "\n\t" \
    "vpaddd %%ymm" #product ", %%ymm" #sum ", %%ymm" #sum "\n\t"
        asm volatile(STEP(12, 0) STEP(13, 1) STEP(12, 2) STEP(13, 3) STEP(12, 4) STEP(13, 5) STEP(12, 6)
                         STEP(13, 7) STEP(12, 8) STEP(13, 9) STEP(12, 10) STEP(13, 11)
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                       "xmm11", "xmm12", "xmm13");
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%.2f\n", count * 12 * 16 / seconds.count() / 1e9);
}
