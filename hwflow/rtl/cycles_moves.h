// Processes of cells that move beats: borders, repetitions, permutations, widths and FIFOs.
#pragma once

#include "cycles_process.h"

namespace {

// A beat comes in, goes out, or both, as `steps` say, which begin anew with every image; the first waits for one to come.
struct Border : Process {
    enum Step : char { NOTHING, TAKES, GIVES, BOTH };
    Timing timing;
    std::vector<char> steps;
    std::size_t at = 0;
    std::int64_t result = 0;
    Time last = -1;
    bool asked = false;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            const bool takes = (steps[at] & TAKES) != 0, gives = (steps[at] & GIVES) != 0;
            if (gives && (!timing.known(to, result) || !to.may_offer())) return;
            Time time = std::max(last + 1, gives ? timing.room(to, result) : 0);
            if (takes) {
                if (!asked) {
                    if (!from.may_accept()) return;
                    from.accept(time);
                    asked = true;
                }
                if (from.read == from.moved) return;
                time = from.time(from.read++);
                asked = false;
            } else if (at == 0) {
                if (from.offered <= from.read) return;
                time = std::max(time, from.seen(from.read));
            }
            last = time;
            if (gives) {
                to.offer(last + timing.latency);
                result++;
            }
            at = at + 1 == steps.size() ? 0 : at + 1;
        }
    }
};

std::vector<char> border_steps(const std::int64_t* p) {
    const std::int64_t beats = p[0], height = p[1], width = p[2], *crop = p + 3, *pad = p + 7;
    std::vector<char> steps;
    const auto inside = [](std::int64_t x, std::int64_t begin, std::int64_t size) { return x >= begin && x < begin + size; };
    for (std::int64_t y = 0; y < pad[0] + height + pad[1]; y++) {
        const bool row = inside(y, pad[0], height);
        const bool row_stays = !row || inside(y, pad[0] + crop[0], height - crop[0] - crop[1]);
        for (std::int64_t x = 0; x < pad[2] + width + pad[3]; x++) {
            const bool column = inside(x, pad[2], width);
            const bool stays = row_stays && (!column || inside(x, pad[2] + crop[2], width - crop[2] - crop[3]));
            const int step = (row && column ? Border::TAKES : 0) | (stays ? Border::GIVES : 0);
            steps.insert(steps.end(), static_cast<std::size_t>(beats), static_cast<char>(step));
        }
    }
    return steps;
}

std::vector<char> repeat_steps(std::int64_t beats, std::int64_t width, std::int64_t rows, std::int64_t columns) {
    std::vector<char> steps;
    for (std::int64_t beat = 0; beat < rows * width * columns * beats; beat++) {
        const bool is_new = beat < width * columns * beats && beat / beats % columns == 0;
        steps.push_back(is_new ? Border::BOTH : Border::GIVES);
    }
    return steps;
}

// An image goes out after all of it has come in, while the next one comes in.
struct Permute : Process {
    Timing timing;
    std::int64_t beats;
    std::int64_t taken = 0, result = 0;
    std::vector<Time> complete, freed;  // when each image had come in, and when it had been read
    Time last = -1;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        bool moving = true;
        while (moving) {
            moving = false;
            while (from.may_accept()) {
                const std::int64_t image = from.accepted / beats;
                if (image >= 2 && static_cast<std::int64_t>(freed.size()) <= image - 2) break;
                from.accept(image < 2 ? 0 : freed[static_cast<std::size_t>(image - 2)] + 1);
                moving = true;
            }
            for (; from.read < from.moved; moving = true) {
                const Time time = from.time(from.read++);
                if (++taken % beats == 0) complete.push_back(time);
            }
            while (result / beats < static_cast<std::int64_t>(complete.size()) && timing.known(to, result) && to.may_offer()) {
                last = std::max({last + 1, complete[static_cast<std::size_t>(result / beats)] + 1, timing.room(to, result)});
                to.offer(last + timing.latency);
                if (++result % beats == 0) freed.push_back(last);
                moving = true;
            }
        }
    }
};

struct Widen : Process {
    std::int64_t ratio, asked = 0, taken = 0;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            for (; from.may_accept(); asked++) {
                const std::int64_t group = asked / ratio;
                if (asked % ratio == 0 && group > 0) {
                    if (to.moved < group) break;
                    from.accept(to.time(group - 1));
                } else {
                    from.accept(0);
                }
            }
            if (from.read == from.moved || !to.may_offer()) return;
            const Time time = from.time(from.read++);
            if (++taken == ratio) {
                taken = 0;
                to.offer(time + 1);
            }
        }
    }
};

struct Narrow : Process {
    std::int64_t ratio;

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            while (from.may_accept() && to.moved >= from.accepted * ratio) {
                from.accept(from.accepted == 0 ? 0 : to.time(from.accepted * ratio - 1));
            }
            if (from.read == from.moved || to.offered - to.moved + ratio > SIZE) return;
            const Time time = from.time(from.read++);
            for (std::int64_t i = 0; i < ratio; i++) to.offer(time + 1 + i);
        }
    }
};

// Values by number, of which the first ones are forgotten.
struct Log {
    std::vector<Time> values = std::vector<Time>(256);
    std::int64_t begin = 0, end = 0;

    Time at(std::int64_t number) const {
        return values[static_cast<std::size_t>(number) & (values.size() - 1)];
    }
    void push(Time value) {
        if (end - begin == static_cast<std::int64_t>(values.size())) {
            std::vector<Time> larger(values.size() * 2);
            for (std::int64_t i = begin; i < end; i++) larger[static_cast<std::size_t>(i) & (larger.size() - 1)] = at(i);
            values.swap(larger);
        }
        values[static_cast<std::size_t>(end++) & (values.size() - 1)] = value;
    }
};

// `timing`: of what is read of the memory, `capacity` beats are kept behind it. `depth` 0 is without bound. `most` becomes
// the most beats that were inside.
struct Fifo : Process {
    Timing timing;
    Time last_take = 0;
    std::int64_t depth, most = 0, left = 0, compared = 0;
    Log writes, takes, leaves;

    void see(const Channel& to) {
        for (; leaves.end < to.moved; leaves.push(to.time(leaves.end))) {}
    }

    void compare(bool all) {
        for (; compared < writes.end; compared++) {
            const Time write = writes.at(compared);
            while (left < leaves.end && leaves.at(left) < write) left++;
            if (left == leaves.end && left <= compared && !all) return;
            most = std::max(most, compared + 1 - left);
        }
    }

    void run() override {
        Channel &from = *in[0], &to = *out[0];
        while (true) {
            while (from.may_accept() && (depth == 0 || from.accepted < depth + takes.end)) {
                from.accept(depth == 0 || from.accepted < depth ? 0 : takes.at(from.accepted - depth) + 1);
            }
            bool moving = from.read < from.moved;
            for (; from.read < from.moved; from.read++) writes.push(from.time(from.read));
            see(to);
            const std::int64_t behind = timing.capacity;
            while (takes.end < writes.end && to.may_offer() && to.moved > takes.end - behind) {
                const std::int64_t beat = takes.end;
                Time take = std::max(writes.at(beat), beat > 0 ? last_take : 0) + 1;
                if (beat >= behind) take = std::max(take, to.time(beat - behind) + timing.freed);
                takes.push(take);
                last_take = take;
                to.offer(take + timing.latency - 1);
                see(to);
                moving = true;
            }
            compare(false);
            writes.begin = std::min(compared, takes.end);
            leaves.begin = left;
            takes.begin = depth == 0 ? takes.end : std::max<std::int64_t>(from.accepted - depth, 0);
            if (!moving) return;
        }
    }
};

enum Kind { SOURCE, SINK, PIPE, FORK, ADD, CONCAT, MATRIX, POOL, WINDOW, WIDEN, NARROW, FIFO, BORDER, REPEAT, PERMUTE };
constexpr int FIELDS = 20;

}  // namespace
