#include "fake.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>

struct Work {
  std::function<void()> run;
  const void *to = nullptr, *from = nullptr;  // of copies
};
struct Queue {
  std::deque<Work> work;
  long queued = 0, done = 0;
};
struct FakeStream {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
};
struct FakeEvent {
  std::shared_ptr<Queue> queue;
  long ticket = 0;
};

namespace {

struct State {
  std::mutex lock;
  int devices = 1, only = -1;
  long until_failure = -1, allocations = 0, synchronisations = 0;
  cudaError_t failure = cudaSuccess, lost = cudaSuccess;
  bool misused = false;
  std::map<std::uintptr_t, std::size_t> memory;  // of the device
  std::set<void*> pinned;
  std::set<const void*> managed;
  std::set<FakeStream*> streams;
  std::set<FakeEvent*> events;
  FakeStream standard;
};

thread_local int current = 0;

State& state() {
  static State s;
  return s;
}

bool loses(cudaError_t e) { return e >= cudaErrorAssert; }

void forget(Queue& queue) {
  queue.work.clear();
  queue.done = queue.queued;
}

/// What a call returns before it does anything. A lost device does not do what it had been given.
cudaError_t call(State& s) {
  if (s.lost) return s.lost;
  if (s.until_failure < 0 || s.until_failure-- > 0) return cudaSuccess;
  if (loses(s.failure)) {
    s.lost = s.failure;
    forget(*s.standard.queue);
    for (FakeStream* stream : s.streams) forget(*stream->queue);
  }
  return s.failure;
}

void protect(State& s, int how) {
  for (const auto& [at, bytes] : s.memory) mprotect(reinterpret_cast<void*>(at), bytes, how);
}

void run(State& s, Queue& queue, long ticket) {
  if (queue.done >= ticket) return;
  protect(s, PROT_READ | PROT_WRITE);
  for (; queue.done < ticket; ++queue.done) {
    queue.work.front().run();
    queue.work.pop_front();
  }
  protect(s, PROT_NONE);
}

void run_all(State& s) {
  run(s, *s.standard.queue, s.standard.queue->queued);
  for (FakeStream* stream : s.streams) run(s, *stream->queue, stream->queue->queued);
}

FakeStream* stream_of(State& s, cudaStream_t stream) {
  if (!stream) return &s.standard;
  if (s.streams.count(stream)) return stream;
  s.misused = true;
  return nullptr;
}

cudaError_t queue(State& s, cudaStream_t stream, Work work) {
  if (const cudaError_t e = call(s)) return e;
  FakeStream* const to = stream_of(s, stream);
  if (!to) return cudaErrorInvalidValue;
  to->queue->work.push_back(std::move(work));
  ++to->queue->queued;
  return cudaSuccess;
}

bool in_use(const Queue& queue, const void* at) {
  return std::any_of(queue.work.begin(), queue.work.end(), [=](const Work& w) { return w.to == at || w.from == at; });
}

std::size_t pages(std::size_t bytes) { return (bytes + 4096) / 4096 * 4096; }

}  // namespace

#define LOCK          \
  State& s = state(); \
  const std::lock_guard<std::mutex> hold(s.lock)
#define CALL \
  LOCK;      \
  s.misused |= s.only >= 0 && current != s.only

namespace fake {

cudaError_t launch(cudaStream_t stream, std::function<void()> work) {
  CALL;
  return queue(s, stream, {std::move(work)});
}
void devices(int n) {
  LOCK;
  s.devices = n;
}
void only(int device) {
  LOCK;
  s.only = device;
}
void manage(const void* at) {
  LOCK;
  s.managed.insert(at);
}
void fail(long calls, cudaError_t status) {
  LOCK;
  s.until_failure = calls;
  s.failure = status;
}
void mend() {
  LOCK;
  s.until_failure = -1;
  s.lost = cudaSuccess;
}
long allocations() {
  LOCK;
  return s.allocations;
}
long synchronisations() {
  LOCK;
  return s.synchronisations;
}
long alive() {
  LOCK;
  return static_cast<long>(s.memory.size() + s.pinned.size() + s.streams.size() + s.events.size());
}
bool misused() {
  LOCK;
  return s.misused;
}

}  // namespace fake

const char* cudaGetErrorString(cudaError_t e) { return loses(e) ? "a fake loss" : "a fake error"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* n) {
  LOCK;
  *n = s.devices;
  return s.devices ? call(s) : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int* device) {
  LOCK;
  *device = current;
  return call(s);
}
cudaError_t cudaSetDevice(int device) {
  LOCK;
  if (const cudaError_t e = call(s)) return e;
  current = device;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** to, std::size_t bytes) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  void* const at = mmap(nullptr, pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return cudaErrorMemoryAllocation;
  std::memset(at, 0xEE, pages(bytes));
  mprotect(at, pages(bytes), PROT_NONE);
  s.memory[reinterpret_cast<std::uintptr_t>(at)] = pages(bytes);
  ++s.allocations;
  *to = at;
  return cudaSuccess;
}

cudaError_t cudaFree(void* at) {
  if (!at) return cudaSuccess;
  CALL;
  run_all(s);
  const auto found = s.memory.find(reinterpret_cast<std::uintptr_t>(at));
  if (found == s.memory.end()) {
    s.misused = true;
    return cudaErrorInvalidValue;
  }
  munmap(at, found->second);
  s.memory.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** to, std::size_t bytes) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  *to = ::operator new(bytes);
  s.pinned.insert(*to);
  ++s.allocations;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* at) {
  if (!at) return cudaSuccess;
  CALL;
  s.misused |= in_use(*s.standard.queue, at);
  for (const FakeStream* stream : s.streams) s.misused |= in_use(*stream->queue, at);
  if (!s.pinned.erase(at)) {
    s.misused = true;
    return cudaErrorInvalidValue;
  }
  ::operator delete(at);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  CALL;
  return queue(s, stream, {[=] { std::memcpy(to, from, bytes); }, to, from});
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* to, const void* pointer) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  const auto at = reinterpret_cast<std::uintptr_t>(pointer);
  const auto next = s.memory.upper_bound(at);
  const bool here = next != s.memory.begin() && at < std::prev(next)->first + std::prev(next)->second;
  *to = {here                                         ? cudaMemoryTypeDevice
         : s.managed.count(pointer)                   ? cudaMemoryTypeManaged
         : s.pinned.count(const_cast<void*>(pointer)) ? cudaMemoryTypeHost
                                                      : cudaMemoryTypeUnregistered,
         0};
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* to, unsigned) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  s.streams.insert(*to = new FakeStream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!stream) return cudaSuccess;
  CALL;
  if (!s.streams.count(stream)) {
    s.misused = true;
    return cudaErrorInvalidValue;
  }
  run(s, *stream->queue, stream->queue->queued);
  s.streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  CALL;
  ++s.synchronisations;
  if (const cudaError_t e = call(s)) return e;
  FakeStream* const of = stream_of(s, stream);
  if (!of) return cudaErrorInvalidValue;
  run(s, *of->queue, of->queue->queued);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* to, unsigned) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  s.events.insert(*to = new FakeEvent);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  CALL;
  if (!s.events.erase(event)) {
    s.misused = true;
    return cudaErrorInvalidValue;
  }
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  CALL;
  if (const cudaError_t e = call(s)) return e;
  FakeStream* const of = stream_of(s, stream);
  if (!of || !s.events.count(event)) return cudaErrorInvalidValue;
  event->queue = of->queue;
  event->ticket = of->queue->queued;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  CALL;
  if (event && event->queue && event->queue->done < event->ticket) ++s.synchronisations;
  if (const cudaError_t e = call(s)) return e;
  if (event->queue) run(s, *event->queue, event->ticket);
  return cudaSuccess;
}
