// Simulation only: the main program of hwflow_bench in Verilator, which makes its clock.
//
// While sleep_i is high, it does nothing but clock until done_o or upset_o rises, or to the time that a timer waits for:
// a bench that sleeps costs what a loop around the model does.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vpi.h"

namespace {

constexpr uint64_t HALF_PERIOD = 5000;  // of the time precision, 1 ps

uint64_t now = 0;

// Callbacks may change signals that others wait for.
void call_value_callbacks() {
    while (VerilatedVpi::callValueCbs()) {}
}

// All events of this time, and what Python does in it.
void settle(Vtop& top) {
    do {
        do {
            top.eval_step();
            VerilatedVpi::clearEvalNeeded();
            VerilatedVpi::doInertialPuts();
            call_value_callbacks();
        } while (VerilatedVpi::evalNeeded());
        VerilatedVpi::callCbs(cbReadWriteSynch);
        VerilatedVpi::doInertialPuts();
        call_value_callbacks();
    } while (VerilatedVpi::evalNeeded());
    top.eval_end_step();
    VerilatedVpi::callCbs(cbReadOnlySynch);
    call_value_callbacks();
}

}  // namespace

extern "C" void vlog_startup_routines_bootstrap(void);

double sc_time_stamp() { return static_cast<double>(now); }

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    const auto top = std::make_unique<Vtop>("");
    Verilated::fatalOnVpiError(false);
    vlog_startup_routines_bootstrap();
    Verilated::addExitCb([](void*) { VerilatedVpi::callCbs(cbEndOfSimulation); }, nullptr);
    VerilatedVpi::callCbs(cbStartOfSimulation);
    call_value_callbacks();

    uint64_t edge = HALF_PERIOD;
    top->clk_i = 0;
    while (!Verilated::gotFinish()) {
        settle(*top);
        const uint64_t timer = VerilatedVpi::cbNextDeadline();
        if (!top->sleep_i) {
            now = std::min(edge, timer);
        } else {
            bool waits = true;
            while (waits && edge < timer && !Verilated::gotFinish()) {
                const bool done = top->done_o, upset = top->upset_o;
                now = edge;
                edge += HALF_PERIOD;
                top->clk_i = !top->clk_i;
                top->eval();
                waits = (done || !top->done_o) && (upset || !top->upset_o);
            }
            if (waits) now = timer;
        }
        VerilatedVpi::callCbs(cbNextSimTime);
        call_value_callbacks();
        VerilatedVpi::callCbs(cbAfterDelay);
        call_value_callbacks();
        if (now == edge) {
            edge += HALF_PERIOD;
            top->clk_i = !top->clk_i;
        }
    }
    top->final();
    VerilatedVpi::callCbs(cbEndOfSimulation);
    return Verilated::threadContextp()->errorCount() > 0 ? 1 : 0;
}
