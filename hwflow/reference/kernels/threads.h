// Tasks on threads that are kept from call to call. The caller works too, and waits for no thread that has not begun:
// on a busy machine a call takes no longer than its caller alone would.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace {

// One call of parallel(). Its fields are guarded by the pool's mutex, but for `next` and what never changes.
struct Job {
    void (*work)(void*, int64_t);
    void* body;
    int64_t tasks;
    std::atomic<int64_t> next{0};
    int wanted;  // threads that may still join
    int working = 0;
    std::condition_variable done;

    void run() {
        for (int64_t task; (task = next.fetch_add(1)) < tasks;) work(body, task);
    }
};

class Pool {
public:
    void run(Job& job) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            for (; started_ < job.wanted; ++started_) {
                try {
                    std::thread([this] { serve(); }).detach();
                } catch (const std::system_error&) {
                    break;  // no more threads to be had: those that run do all the work
                }
            }
            jobs_.push_back(&job);
        }
        if (job.wanted == 1) wake_.notify_one();
        else wake_.notify_all();
        job.run();
        std::unique_lock<std::mutex> lock(mutex_);
        const auto place = std::find(jobs_.begin(), jobs_.end(), &job);
        if (place != jobs_.end()) jobs_.erase(place);
        job.done.wait(lock, [&] { return job.working == 0; });
    }

private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return !jobs_.empty(); });
            Job& job = *jobs_.front();
            if (--job.wanted == 0) jobs_.pop_front();
            ++job.working;
            lock.unlock();
            job.run();
            lock.lock();
            if (--job.working == 0) job.done.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job*> jobs_;
    int started_ = 0;
};

// Never destroyed, as its threads wait in it to the end of the process. A forked child has none of them.
std::atomic<Pool*> the_pool{nullptr};
const int at_fork = pthread_atfork(nullptr, nullptr, [] { the_pool = nullptr; });

inline Pool& pool() {
    Pool* found = the_pool;
    if (found != nullptr) return *found;
    Pool* made = new Pool;
    if (the_pool.compare_exchange_strong(found, made)) return *made;
    delete made;
    return *found;
}

template <typename Body>
void parallel(int64_t tasks, int threads, const Body& body) {
    threads = static_cast<int>(std::min<int64_t>(threads, tasks));
    if (threads <= 1) {
        for (int64_t task = 0; task < tasks; ++task) body(task);
        return;
    }
    Job job;
    job.work = [](void* self, int64_t task) { (*static_cast<const Body*>(self))(task); };
    job.body = const_cast<Body*>(&body);
    job.tasks = tasks;
    job.wanted = threads - 1;
    pool().run(job);
}

}  // namespace
