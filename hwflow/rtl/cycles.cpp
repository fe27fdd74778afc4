// When every beat of a dataflow design moves: its cells as processes, its streams as channels.
//
// A beat moves at the first cycle at which its producer offers it, its consumer accepts it and the beat before it has
// moved. Each process turns the times of its inputs into offers, and those of its outputs into acceptances; both only
// look back, so that they can be computed in any order, beat by beat and not cycle by cycle. See __init__.py for the
// processes and their parameters.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
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

    void open() {
        const std::int64_t row = y * stride_h - top, column = x * stride_w - left;
        const auto clamp = [](std::int64_t value, std::int64_t high) {
            return std::min(std::max<std::int64_t>(value, 0), high);
        };
        const std::int64_t wanted =
            clamp(row + kernel_h - 1, height - 1) * width + clamp(column + kernel_w - 1, width - 1) + 1;
        const std::int64_t freed = row > -stride_h && row < height ? clamp(column, width) : 0;
        need = std::max(need, first + wanted);
        const std::int64_t limit = (first + (clamp(row, height) + rows) * width + freed) * beats;
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

// Of `latency` cycles from input to output, 2, or 3 where what was read passes another register; `depth` 0 is without
// bound. `most` becomes the most beats that were inside.
struct Fifo : Process {
    Time latency, out_last = 0;
    std::int64_t depth, most = 0, left = 0, compared = 0, outs = 0;
    Log writes, reads, leaves;

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
            while (from.may_accept() && (depth == 0 || from.accepted < depth + reads.end)) {
                from.accept(depth == 0 || from.accepted < depth ? 0 : reads.at(from.accepted - depth) + 1);
            }
            bool moving = from.read < from.moved;
            for (; from.read < from.moved; from.read++) writes.push(from.time(from.read));
            for (; leaves.end < to.moved; leaves.push(to.time(leaves.end))) {}
            const Time behind = latency - 2;
            while (true) {
                // A beat is read when the one before it leaves the register behind the memory, or later.
                const bool reads_one = reads.end < writes.end && (behind ? outs : to.moved) >= reads.end;
                if (reads_one) {
                    const std::int64_t beat = reads.end;
                    Time read = writes.at(beat) + 1;
                    if (beat > 0) read = std::max({read, reads.at(beat - 1) + 1, behind ? out_last : to.time(beat - 1)});
                    reads.push(read);
                }
                const bool offers_one = outs < reads.end && to.moved >= outs && to.may_offer();
                if (offers_one) {
                    out_last = reads.at(outs) + behind;
                    if (outs > 0) out_last = std::max(out_last, to.time(outs - 1));
                    outs++;
                    to.offer(out_last + 1);
                    for (; leaves.end < to.moved; leaves.push(to.time(leaves.end))) {}
                }
                if (!reads_one && !offers_one) break;
                moving = true;
            }
            compare(false);
            writes.begin = std::min(compared, reads.end);
            leaves.begin = left;
            reads.begin = std::min(std::max<std::int64_t>(reads.end - 1, 0), outs);
            if (depth != 0) reads.begin = std::min(reads.begin, std::max<std::int64_t>(from.accepted - depth, 0));
            if (!moving) return;
        }
    }
};

enum Kind { SOURCE, SINK, PIPE, FORK, ADD, CONCAT, MATRIX, POOL, WINDOW, WIDEN, NARROW, FIFO, BORDER, REPEAT, PERMUTE };
constexpr int FIELDS = 20;

std::unique_ptr<Process> make(std::int32_t kind, const std::int64_t* p) {
    const Timing timing{p[0], p[1], p[2]};
    switch (kind) {
        case PIPE: { auto made = std::make_unique<Pipe>(); made->timing = timing; return made; }
        case FORK: return std::make_unique<Fork>();
        case ADD: { auto made = std::make_unique<Add>(); made->timing = timing; return made; }
        case CONCAT: {
            auto made = std::make_unique<Concat>();
            made->timing = timing;
            made->beats[0] = p[3];
            made->beats[1] = p[4];
            return made;
        }
        case MATRIX: {
            auto made = std::make_unique<Matrix>();
            made->timing = timing;
            made->inputs = p[3];
            made->outputs = p[4];
            return made;
        }
        case POOL: {
            auto made = std::make_unique<Pool>();
            made->timing = timing;
            made->inputs = p[3];
            made->outputs = p[4];
            return made;
        }
        case WINDOW: {
            auto made = std::make_unique<Window>();
            made->timing = timing;
            made->beats = p[3]; made->height = p[4]; made->width = p[5];
            made->kernel_h = p[6]; made->kernel_w = p[7]; made->stride_h = p[8]; made->stride_w = p[9];
            made->top = p[10]; made->left = p[11]; made->rows = p[12]; made->out_h = p[13]; made->out_w = p[14];
            made->readable = p[15];
            made->positions = p[16];
            made->pixels.assign(static_cast<std::size_t>((made->rows + made->height + 2) * made->width), 0);
            return made;
        }
        case WIDEN: { auto made = std::make_unique<Widen>(); made->ratio = p[3]; return made; }
        case NARROW: { auto made = std::make_unique<Narrow>(); made->ratio = p[3]; return made; }
        case BORDER: {
            auto made = std::make_unique<Border>();
            made->timing = timing;
            made->steps = border_steps(p + 3);
            return made;
        }
        case REPEAT: {
            auto made = std::make_unique<Border>();
            made->timing = timing;
            made->steps = repeat_steps(p[3], p[4], p[5], p[6]);
            return made;
        }
        case PERMUTE: {
            auto made = std::make_unique<Permute>();
            made->timing = timing;
            made->beats = p[3];
            return made;
        }
        case FIFO: { auto made = std::make_unique<Fifo>(); made->latency = p[0]; made->depth = p[3]; return made; }
        default: return nullptr;
    }
}

}  // namespace

// Runs `images` images through a design.
//
//   kinds, fields         a process each: its kind, and FIELDS parameters
//   inputs, outputs       channels of each process, `ports` a process, -1 where there are no more
//   period                cycles over which an image's beats come evenly; 0: as fast as they are taken
//   in_beats, out_beats   of an image, at channel `entry` and at channel `exit`
//   finished              out: when each image's last beat left
//   most                  out: of every FIFO, by process, the most beats that were inside
//
// Returns the images that came out: fewer than `images` if the design deadlocks.
extern "C" std::int64_t hwflow_cycles(
    std::int32_t processes, std::int32_t channels, std::int32_t ports, const std::int32_t* kinds,
    const std::int64_t* fields, const std::int32_t* inputs, const std::int32_t* outputs, std::int32_t entry,
    std::int32_t exit, std::int64_t in_beats, std::int64_t out_beats, std::int64_t images, double period,
    std::int64_t* finished, std::int64_t* most) {
    std::vector<std::unique_ptr<Channel>> streams;
    for (int i = 0; i < channels; i++) streams.push_back(std::make_unique<Channel>());
    Queue queue;
    std::vector<std::unique_ptr<Process>> cells;
    const auto connect = [&](Process& cell, const std::int32_t* from, const std::int32_t* to, bool peeks, int count) {
        cell.queue = &queue;
        for (int i = 0; i < count; i++) {
            if (from != nullptr && from[i] >= 0) {
                Channel* channel = streams[static_cast<std::size_t>(from[i])].get();
                channel->consumer = &cell;
                channel->peeks = peeks;
                cell.in.push_back(channel);
            }
            if (to != nullptr && to[i] >= 0) {
                Channel* channel = streams[static_cast<std::size_t>(to[i])].get();
                channel->producer = &cell;
                cell.out.push_back(channel);
            }
        }
    };
    for (int i = 0; i < processes; i++) {
        cells.push_back(make(kinds[i], fields + static_cast<std::ptrdiff_t>(i) * FIELDS));
        const bool peeks = kinds[i] == FORK || kinds[i] == ADD || kinds[i] == BORDER;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(i) * ports;
        connect(*cells.back(), inputs + at, outputs + at, peeks, ports);
    }
    Source source;
    source.beats = in_beats;
    source.images = images;
    source.period = period;
    connect(source, nullptr, &entry, false, 1);
    Sink sink;
    sink.beats = out_beats;
    connect(sink, &exit, nullptr, false, 1);

    source.wake();
    sink.wake();
    for (auto& cell : cells) cell->wake();
    while (!queue.waiting.empty()) {
        Process* next = queue.waiting.back();
        queue.waiting.pop_back();
        next->queued = false;
        next->run();
    }
    const std::int64_t done = std::min<std::int64_t>(images, static_cast<std::int64_t>(sink.finished.size()));
    std::copy_n(sink.finished.begin(), done, finished);
    for (int i = 0; i < processes; i++) {
        if (kinds[i] != FIFO) continue;
        auto& fifo = static_cast<Fifo&>(*cells[static_cast<std::size_t>(i)]);
        fifo.compare(true);
        most[i] = fifo.most;
    }
    return done;
}
