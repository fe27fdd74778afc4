"""Time to draw a fault list: 20,000 flips among 200 million stored bits, median of 20 draws."""

import statistics
import time

from hwflow.faults import Memory, sample_ber, sample_count

MEMORIES = [Memory(f"layer{number}", 1_250_000, 8) for number in range(20)]
FLIPS = 20_000
DRAWS = 20


def median_ms(draw) -> float:
    draw(DRAWS)
    times = []
    for seed in range(DRAWS):
        start = time.perf_counter()
        draw(seed)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    bits = sum(memory.total_bits for memory in MEMORIES)
    by_ber = median_ms(lambda seed: sample_ber(MEMORIES, FLIPS / bits, seed))
    by_count = median_ms(lambda seed: sample_count(MEMORIES, FLIPS, seed))
    print(f"{FLIPS} flips among {bits} bits: by BER {by_ber:.2f} ms, by count {by_count:.2f} ms (median of {DRAWS})")
