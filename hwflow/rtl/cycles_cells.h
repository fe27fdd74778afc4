// Processes of cells that compute: what comes in, what it becomes, and when.
#pragma once

#include <deque>

#include "cycles_process.h"

namespace {

// Beats as soon as they are wanted, or evenly over a period.
struct Source : Process {
    std::int64_t beats, images, sent = 0;
    double period;

    void run() override {
        Channel& to = *out[0];
        for (; sent < beats * images && to.may_offer(); sent++) {
            to.offer(static_cast<Time>(static_cast<double>(sent) * period / static_cast<double>(beats)));
        }
    }
};

struct Sink : Process {
    std::int64_t beats;
    std::vector<Time> finished;

    void run() override {
        Channel& from = *in[0];
        while (true) {
            for (; from.read < from.moved; from.read++) {
                if (from.read % beats == beats - 1) finished.push_back(from.time(from.read));
            }
            if (!from.may_accept()) return;
            from.accept(0);
        }
    }
};

struct Pipe : Process {
    Timing timing;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            while (from.may_accept() && timing.known(to, from.accepted)) from.accept(timing.room(to, from.accepted));
            if (from.read == from.moved || !to.may_offer()) return;
            to.offer(from.time(from.read++) + timing.latency);
        }
    }
};

struct Fork : Process {
    void run() override {
        Channel& from = *in[0];
        while (from.offered > from.read) {
            const std::int64_t beat = from.read;
            Time all = 0;
            bool taken = true;
            for (Channel* to : out) {
                if (to->offered == beat) {
                    if (!to->may_offer()) return;
                    to->offer(from.seen(beat));
                }
                if (to->moved > beat) all = std::max(all, to->time(beat));
                else taken = false;
            }
            if (!taken) return;
            from.accept(all);
            from.read++;
        }
    }
};

struct Add : Process {
    Timing timing;

    void run() override {
        Channel &a = *in[0], &b = *in[1], &to = *out[0];
        while (true) {
            const std::int64_t beat = a.read;
            if (a.offered <= beat || b.offered <= beat || !timing.known(to, beat) || !to.may_offer()) return;
            const Time room = timing.room(to, beat), seen_a = a.seen(beat), seen_b = b.seen(beat);
            a.accept(std::max(room, seen_b));
            b.accept(std::max(room, seen_a));
            a.read++;
            b.read++;
            to.offer(a.time(beat) + timing.latency);
        }
    }
};

struct Concat : Process {
    Timing timing;
    std::int64_t beats[2];
    std::int64_t turn = 0, place = 0, result = 0;
    Time last = -1;
    bool asked = false;

    void run() override {
        Channel& to = *out[0];
        while (true) {
            Channel& from = *in[turn];
            if (!asked) {
                if (!timing.known(to, result)) return;
                from.accept(std::max(timing.room(to, result), last + 1));
                asked = true;
            }
            if (from.read == from.moved || !to.may_offer()) return;
            last = from.time(from.read++);
            to.offer(last + timing.latency);
            asked = false;
            result++;
            if (++place == beats[turn]) {
                place = 0;
                turn = 1 - turn;
            }
        }
    }
};

// A vector comes in as `inputs` beats and leaves as `outputs`, each of which takes as many cycles as there are inputs.
struct Matrix : Process {
    Timing timing;
    std::int64_t inputs, outputs;
    std::int64_t fold = 0, result = 0;
    std::int64_t asked = 0, taken = 0;  // of this vector
    Time last = -1;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            if (fold == 0) {
                for (; asked < inputs && from.may_accept(); asked++) {
                    if (asked < inputs - 1) {
                        from.accept(last + 1);
                    } else {
                        if (!timing.known(to, result)) break;
                        from.accept(std::max(last + 1, timing.room(to, result)));
                    }
                }
                const std::int64_t here = std::min(from.moved - from.read, asked - taken);
                if (here == 0 || !to.may_offer()) return;
                from.read += here;
                taken += here;
                if (taken < inputs) continue;
                last = from.time(from.read - 1);
                taken = asked = 0;
            } else {
                if (!timing.known(to, result) || !to.may_offer()) return;
                last = std::max(last + inputs, timing.room(to, result));
            }
            to.offer(last + timing.latency);
            result++;
            fold = fold + 1 == outputs ? 0 : fold + 1;
        }
    }
};

// `outputs` results for `inputs` beats: they are complete with the last beats, one each.
struct Pool : Process {
    Timing timing;
    std::int64_t inputs, outputs;
    std::int64_t asked = 0, taken = 0, results_asked = 0;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            for (; from.may_accept(); asked = asked + 1 == inputs ? 0 : asked + 1) {
                if (asked < inputs - outputs) {
                    from.accept(0);
                } else {
                    if (!timing.known(to, results_asked)) break;
                    from.accept(timing.room(to, results_asked++));
                }
            }
            if (from.read == from.moved || !to.may_offer()) return;
            const Time time = from.time(from.read++);
            if (taken >= inputs - outputs) to.offer(time + timing.latency);
            taken = taken + 1 == inputs ? 0 : taken + 1;
        }
    }
};

// hwflow_window's header has what NEED and LIMIT are.
struct Window : Process {
    Timing timing;
    std::int64_t beats, height, width, kernel_h, kernel_w, stride_h, stride_w, top, left, rows, out_h, out_w, readable;
    std::int64_t positions;  // of the kernel in a beat
    std::vector<Time> pixels;  // when each was complete, a ring
    std::int64_t complete = 0;
    std::int64_t first = 0;    // pixel of the image that is read
    std::int64_t y = 0, x = 0, beat = 0, sent = 0;
    std::int64_t need = 0;     // pixels, all images counted
    Time last = -1;            // when a beat was read last
    bool opened = false;
    struct Grant {
        std::int64_t beats;
        Time time;
    };
    std::deque<Grant> grants;
    struct Base {
        Time time;
        std::int64_t pixels;  // that need not be kept any more
    };
    std::deque<Base> bases;    // of windows that are read, from when on
    std::deque<Time> starts;   // of pixels that are not measured yet
    std::int64_t measured = 0, most = 0;  // pixels, and the most rows that held one and all before it

    void measure(bool all) {
        for (; !starts.empty(); starts.pop_front()) {
            while (bases.size() > 1 && bases[1].time <= starts.front()) bases.pop_front();
            if (bases.size() < 2 && !all) return;
            most = std::max(most, (measured++ - bases.front().pixels) / width + 1);
        }
    }

    void open() {
        const std::int64_t row = y * stride_h - top, column = x * stride_w - left;
        const auto clamp = [](std::int64_t value, std::int64_t high) {
            return std::min(std::max<std::int64_t>(value, 0), high);
        };
        const std::int64_t wanted =
            clamp(row + kernel_h - 1, height - 1) * width + clamp(column + kernel_w - 1, width - 1) + 1;
        const std::int64_t freed = row > -stride_h && row < height ? clamp(column, width) : 0;
        need = std::max(need, first + wanted);
        const std::int64_t base = first + clamp(row, height) * width + freed;
        bases.push_back({last + 1, base});
        const std::int64_t limit = (base + rows * width) * beats;
        if (grants.empty() || limit > grants.back().beats) grants.push_back({limit, last + 1});
        opened = true;
    }

    void take() {
        Channel& from = *in[0];
        while (true) {
            while (from.may_accept() && !grants.empty()) {
                if (from.accepted < grants.front().beats) from.accept(grants.front().time);
                else if (grants.size() > 1) grants.pop_front();
                else break;
            }
            if (from.read == from.moved) return;
            for (; from.read < from.moved; from.read++) {
                if (from.read % beats == 0) starts.push_back(from.time(from.read));
                if (from.read % beats == beats - 1) {
                    pixels[static_cast<std::size_t>(complete++) % pixels.size()] = from.time(from.read);
                }
            }
        }
    }

    void run() override {
        Channel& to = *out[0];
        const std::int64_t of_window = kernel_h * kernel_w * beats / positions;
        while (true) {
            if (!opened) open();
            take();
            measure(false);
            if (complete < need) return;
            Time ready = pixels[static_cast<std::size_t>(need - 1) % pixels.size()] + readable;
            for (; beat < of_window; beat++, sent++) {
                if (!timing.known(to, sent) || !to.may_offer()) return;
                last = std::max({last + 1, ready, timing.room(to, sent)});
                to.offer(last + timing.latency);
            }
            beat = 0;
            opened = false;
            if (++x < out_w) continue;
            x = 0;
            if (++y < out_h) continue;
            y = 0;
            first += height * width;
        }
    }
};

}  // namespace
