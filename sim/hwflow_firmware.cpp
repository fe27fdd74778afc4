// Simulation only: between hwflow_firmware.sv and the C++ that hls4ml made of a network. That is compiled as for C
// simulation, firmware.so in the working folder, and reads its weights from the folder weights there when it is first run.

#include <dlfcn.h>
#include <pthread.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "svdpi.h"

namespace {

// hls4ml keeps whole feature vectors on the stack; memory is taken as used.
constexpr std::size_t STACK_BYTES = std::size_t{1} << 30;

struct Run {
    const long long* inputs;
    long long* outputs;
};

[[noreturn]] void stop(const char* reason) {
    std::fprintf(stderr, "error: %s\n", reason);
    std::exit(1);
}

void* entry(const std::string& name) {
    static void* const library = dlopen("./firmware.so", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) stop(dlerror());
    void* const found = dlsym(library, name.c_str());
    if (found == nullptr) stop(("firmware.so has no " + name + "; generate the firmware again").c_str());
    return found;
}

void* run_images(void* argument) {
    const Run& run = *static_cast<const Run*>(argument);
    static const auto call = reinterpret_cast<void (*)(const long long*, long long*, long)>(entry("hwflow_run"));
    call(run.inputs, run.outputs, 1);
    return nullptr;
}

void run(const long long* inputs, long long* outputs) {
    Run argument{inputs, outputs};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, run_images, &argument) != 0) stop("there is no room for the firmware's stack");
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

}  // namespace

// The first run reads the weights from their text files, over whatever the arrays hold.
extern "C" void hwflow_firmware_open(int inputs, int outputs) {
    const std::vector<long long> zeros(inputs);
    std::vector<long long> results(outputs);
    run(zeros.data(), results.data());
}

// Stored words of an array, as 32-bit parts.
extern "C" void hwflow_firmware_store(const char* symbol, const svOpenArrayHandle parts) {
    const auto call = reinterpret_cast<void (*)(long, const unsigned*)>(entry(std::string("hwflow_store_") + symbol));
    call(svSize(parts, 1), static_cast<const unsigned*>(svGetArrayPtr(parts)));
}

extern "C" void hwflow_firmware_run(const svOpenArrayHandle inputs, const svOpenArrayHandle outputs) {
    run(static_cast<const long long*>(svGetArrayPtr(inputs)), static_cast<long long*>(svGetArrayPtr(outputs)));
}
