// When every beat of a dataflow design moves: its cells as processes, its streams as channels.
//
// A beat moves at the first cycle at which its producer offers it, its consumer accepts it and the beat before it has
// moved. Each process turns the times of its inputs into offers, and those of its outputs into acceptances; both only
// look back, so that they can be computed in any order, beat by beat and not cycle by cycle. See cycles.py for the
// processes and their parameters.

#include <memory>

#include "cycles_cells.h"
#include "cycles_moves.h"

namespace {

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
        case FIFO: { auto made = std::make_unique<Fifo>(); made->timing = timing; made->depth = p[3]; return made; }
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
//   most                  out: by process, of every FIFO the most beats that were inside, of every window the rows that
//                         would have been enough
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
        Process& cell = *cells[static_cast<std::size_t>(i)];
        if (kinds[i] == FIFO) {
            auto& fifo = static_cast<Fifo&>(cell);
            fifo.compare(true);
            most[i] = fifo.most;
        } else if (kinds[i] == WINDOW) {
            auto& window = static_cast<Window&>(cell);
            window.measure(true);
            most[i] = window.most;
        }
    }
    return done;
}
