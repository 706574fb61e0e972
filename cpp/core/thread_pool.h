#pragma once
#include <memory>

#include "core/exec.h"

namespace sonoray {

/// Threads of one's own for `Cpu{threads, &pool}`. All start here, so that later calls allocate nothing. A process that
/// forks leaves them behind: a child must not use the pool.
class ThreadPool {
 public:
  /// `threads` in all, the caller's included.
  SONORAY_API explicit ThreadPool(int threads);
  SONORAY_API ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  class Crew;
  Crew& crew() const { return *crew_; }

 private:
  std::unique_ptr<Crew> crew_;
};

}  // namespace sonoray
