// A main program that is nothing but a loop around the verilated bench, to compare the cocotb bench with.
// It prints cycles and seconds of processor time.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "Vtop.h"
#include "verilated.h"

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    Vtop top;
    unsigned long cycles = 0;
    auto cycle = [&] {
        top.clk_i = 1;
        top.eval();
        top.clk_i = 0;
        top.eval();
    };
    top.clk_i = top.rst_ni = top.start_i = 0;
    top.upset_cycle_i = 0;
    top.stall_percent_i = 0;
    top.seed_i = 1;
    top.in_count_i = std::atoi(argv[1]);
    top.out_count_i = std::atoi(argv[2]);
    for (int i = 0; i < 4; ++i) cycle();
    top.rst_ni = 1;
    cycle();
    const std::clock_t start = std::clock();
    top.start_i = 1;
    for (; !top.done_o; ++cycles) cycle();
    std::printf("%lu %.6f\n", cycles, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    return 0;
}
