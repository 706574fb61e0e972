#include "core/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/for_each.h"

// Own threads rather than OpenMP: torch ships libgomp under its plain name, and sharing it lets
// torch.set_num_threads change ours. The shared pool is the core's only state; a forked child starts a new one.

namespace sonoray {
namespace {

struct Job {
  Job(std::int64_t items, std::int64_t step, RangeTask f, void* with) : n(items), grain(step), task(f), context(with) {}

  const std::int64_t n, grain;
  const RangeTask task;
  void* const context;
  std::atomic<std::int64_t> next{0};
  std::mutex error_lock;
  std::exception_ptr error;

  void work() {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain);
      if (begin >= n) return;
      try {
        task(context, begin, begin + grain < n ? begin + grain : n);
      } catch (...) {
        std::lock_guard<std::mutex> hold(error_lock);
        if (!error) error = std::current_exception();
        next = n;
      }
    }
  }
};

// In the static block of every thread: a library loaded later would otherwise allocate it at the first use. Not beside
// the CUDA runtime, whose own page of thread-local memory fits into no static block: such a library could not be loaded
// later at all.
#if !defined(SONORAY_BESIDE_CUDA)
__attribute__((tls_model("initial-exec")))
#endif
thread_local bool inside_task = false;

}  // namespace

class ThreadPool::Crew {
 public:
  ~Crew() {
    {
      std::lock_guard<std::mutex> hold(lock_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
  }

  /// Returns when all threads run: their start costs the first call neither time nor memory.
  void start(int helpers) {
    std::unique_lock<std::mutex> hold(lock_);
    grow(helpers);
    done_.wait(hold, [this] { return running_ == static_cast<int>(threads_.size()); });
  }

  /// False when another caller is using the pool.
  bool try_run(Job& job, int helpers) {
    std::unique_lock<std::mutex> one_caller(caller_, std::try_to_lock);
    if (!one_caller.owns_lock()) return false;
    {
      std::lock_guard<std::mutex> hold(lock_);
      grow(helpers);
      job_ = &job;
      helpers_ = helpers;
      active_ = static_cast<int>(threads_.size());
      ++ticket_;
    }
    wake_.notify_all();
    inside_task = true;
    job.work();
    inside_task = false;
    std::unique_lock<std::mutex> hold(lock_);
    done_.wait(hold, [this] { return active_ == 0; });
    return true;
  }

 private:
  void grow(int helpers) {
    while (static_cast<int>(threads_.size()) < helpers) {
      const int rank = static_cast<int>(threads_.size());
      threads_.emplace_back([this, rank, seen = ticket_] { loop(rank, seen); });
    }
  }

  void loop(int rank, std::uint64_t seen) {
    inside_task = true;
    std::unique_lock<std::mutex> hold(lock_);
    ++running_;
    done_.notify_all();
    for (;;) {
      wake_.wait(hold, [&] { return stop_ || ticket_ != seen; });
      if (stop_) return;
      seen = ticket_;
      Job* job = rank < helpers_ ? job_ : nullptr;
      hold.unlock();
      if (job) job->work();
      hold.lock();
      if (--active_ == 0) done_.notify_all();
    }
  }

  std::mutex caller_, lock_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  Job* job_ = nullptr;
  int helpers_ = 0, active_ = 0, running_ = 0;
  std::uint64_t ticket_ = 0;
  bool stop_ = false;
};

namespace {

std::mutex pool_lock;
ThreadPool::Crew* shared_crew = nullptr;

ThreadPool::Crew& crew_of(const Cpu& exec) {
  if (exec.pool) return exec.pool->crew();
  std::lock_guard<std::mutex> hold(pool_lock);
  if (!shared_crew) {
    shared_crew = new ThreadPool::Crew;  // never destroyed: joining threads while a process exits can hang
    static const bool registered = [] {
      // The child has none of the parent's threads: forget them and start anew when needed.
      pthread_atfork([] { pool_lock.lock(); }, [] { pool_lock.unlock(); },
                     [] {
                       shared_crew = nullptr;
                       pool_lock.unlock();
                     });
      return true;
    }();
    (void)registered;
  }
  return *shared_crew;
}

}  // namespace

ThreadPool::ThreadPool(int threads) : crew_(new Crew) { crew_->start(threads - 1); }
ThreadPool::~ThreadPool() = default;

int thread_count(const Cpu& exec) {
  if (exec.threads > 0) return exec.threads;
  const unsigned n = std::thread::hardware_concurrency();
  return n ? static_cast<int>(n) : 1;
}

void run_ranges(const Cpu& exec, std::int64_t n, std::int64_t grain, RangeTask task, void* context) {
  if (n <= 0) return;
  Job job(n, grain > 0 ? grain : 1, task, context);
  const std::int64_t ranges = (n + job.grain - 1) / job.grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(thread_count(exec), ranges));
  if (threads <= 1 || inside_task || !crew_of(exec).try_run(job, threads - 1)) job.work();
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace sonoray
