// Channels and processes of the cycle model, and what its cells hold back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

using Time = std::int64_t;

constexpr int SIZE = 1024;  // beats that a channel looks ahead
constexpr int MASK = SIZE - 1;

struct Process;

struct Channel {
    Process* producer = nullptr;
    Process* consumer = nullptr;
    bool peeks = false;  // the consumer looks at offers
    Time offers[SIZE], accepts[SIZE], times[SIZE];
    std::int64_t offered = 0, accepted = 0, moved = 0, read = 0;

    bool may_offer() const { return offered - moved < SIZE; }
    bool may_accept() const { return accepted - read < SIZE; }
    Time time(std::int64_t beat) const { return times[beat & MASK]; }
    inline void offer(Time time);
    inline void accept(Time time);
    inline void settle();

    // When the consumer sees a beat that it has not taken yet.
    Time seen(std::int64_t beat) const {
        return beat == 0 ? offers[0] : std::max(offers[beat & MASK], time(beat - 1) + 1);
    }
};

struct Queue {
    std::vector<Process*> waiting;
};

struct Process {
    Queue* queue = nullptr;
    bool queued = false;
    std::vector<Channel*> in, out;

    virtual ~Process() = default;
    virtual void run() = 0;

    void wake() {
        if (queued) return;
        queued = true;
        queue->waiting.push_back(this);
    }
};

void Channel::offer(Time time) {
    offers[offered++ & MASK] = time;
    if (peeks) consumer->wake();
    settle();
}

void Channel::accept(Time time) {
    accepts[accepted++ & MASK] = time;
    settle();
}

void Channel::settle() {
    const std::int64_t known = std::min(offered, accepted);
    if (moved == known) return;
    Time last = moved == 0 ? -1 : time(moved - 1);
    for (; moved < known; moved++) {
        last = std::max({offers[moved & MASK], accepts[moved & MASK], last + 1});
        times[moved & MASK] = last;
    }
    producer->wake();
    consumer->wake();
}

// What a cell holds back: `latency` cycles from the beat that completes a result to its offer, and room for `capacity`
// results; `freed` cycles after one has left, the next may be completed.
struct Timing {
    Time latency, capacity, freed;

    bool known(const Channel& out, std::int64_t result) const { return out.moved > result - capacity; }
    Time room(const Channel& out, std::int64_t result) const {
        return result < capacity ? 0 : out.time(result - capacity) + freed;
    }
};

}  // namespace
