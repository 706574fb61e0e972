// A CUDA device as the place of a pipeline. Everything of a frame queues on the caller's stream; tables are copied, and
// outputs for the host fetched, on streams of the place's own, which wait for no frame behind.
#include <cuda_runtime_api.h>

#include <cstring>
#include <optional>

#include "beamforming/das_check.h"
#include "beamforming/das_launch.h"
#include "capi/place.h"
#include "capi/tables.h"
#include "core/for_each.cuh"
#include "core/owned.cuh"
#include "imaging/display.cuh"

namespace sonoray::capi {
namespace {

/// Makes a device current while an object that lives there is destroyed: its first member, so the last to go.
using Farewell = std::optional<DeviceGuard>;

void begin(Farewell& farewell, int device) noexcept {
  try {
    farewell.emplace(device);
  } catch (...) {  // lost: what follows fails, too, and frees the host's side
  }
}

struct DevicePicture : Picture {
  explicit DevicePicture(int index) : device(index) {}
  ~DevicePicture() override {
    begin(farewell, device);
    done.settle();  // copies from and to pinned memory
  }

  Farewell farewell;
  const int device;
  DeviceBuffer<char> samples;
  PinnedBuffer<char> kept;  // a ring's frames that came from the host
  bool on_device = false;   // where the kept samples are
  DeviceBuffer<float> image, envelope, decibels;
  DeviceBuffer<std::uint8_t> grey;
  DeviceBuffer<DisplayReport> report;
  PinnedBuffer<DisplayReport> said;  // the report on its way
  std::uint32_t failed = 0;          // frames that were not finite and that somebody knows of
  Event read, done;                  // samples copied; all of it done
};

/// Numbers of a picture into the caller's device memory, if the picture is finite.
template <class T>
struct Give {
  const DisplayReport* report;
  const T* from;
  T* to;

  SONORAY_HD void operator()(std::int64_t i) const {
    if (report->finite) to[i] = from[i];
  }
};

/// The device must be current while one is made.
class DevicePlace : public Place {
 public:
  explicit DevicePlace(const Settings& s)
      : exec_{s.config.device_index, s.config.stream}, settings_(s), display_(exec_, display_problem(s)) {
    const std::int64_t n = s.n_points(), n_tx = s.config.n_transmits, n_rx = s.config.n_elements;
    const cudaStream_t stream = fetches_.get();
    const Settle settle(stream);
    points_.fill(s.points.data(), 3 * n, stream);
    elements_.fill(s.elements.data(), 3 * n_rx, stream);
    normals_.fill(s.normals.data(), 3 * n_rx, stream);
    start_.fill(s.start.data(), 2 * n_tx, stream);
    if (!s.tx_weight.empty()) weight_.fill(s.tx_weight.data(), n_tx * n, stream);
    for (Set& set : sets_) {
      set.times.reserve(n_tx * n);
      set.slowness.reserve(n_rx * Tables::nodes(s));
    }
    fetches_.wait();
  }

  ~DevicePlace() override { begin(farewell_, exec_.device); }

  std::unique_ptr<Picture> picture(bool ring) override {
    const DeviceGuard guard(exec_.device);
    auto made = std::make_unique<DevicePicture>(exec_.device);
    const Settle settle(stream());
    made->samples.reserve(static_cast<std::int64_t>(settings_.frame_bytes));
    if (ring) made->kept.allocate(static_cast<std::int64_t>(settings_.frame_bytes));
    made->image.reserve(static_cast<std::int64_t>(settings_.image_bytes() / sizeof(float)));
    made->envelope.reserve(settings_.n_points());
    made->decibels.reserve(settings_.n_points());
    made->grey.reserve(settings_.n_grey());
    made->said.allocate(1);
    made->report.fill(made->said.data(), 1, stream());
    check(cudaStreamSynchronize(stream()), "copy to device");
    return made;
  }

  void set_tables(int index, const DasProblem& problem) override {
    check_das(problem);
    check_times(problem);
    const DasRecord record = das_record(problem, settings_.samples);
    const DeviceGuard guard(exec_.device);
    const Settle settle(tables_.get());
    Set& set = sets_[index];
    set.used.wait();
    set.record = record;
    set.problem = problem;
    DasProblem& p = set.problem;
    set.times.fill(problem.tx_time.data, problem.tx_time.size(), tables_.get());
    p.tx_time.data = set.times.data();
    if (problem.rx_slowness) {
      set.slowness.fill(problem.rx_slowness.data, problem.rx_slowness.size(), tables_.get());
      p.rx_slowness.data = set.slowness.data();
    }
    p.points.data = points_.data();
    p.elements.data = elements_.data();
    p.normals.data = normals_.data();
    p.start.data = start_.data();
    if (p.tx_weight) p.tx_weight.data = weight_.data();
    tables_.wait();
  }

  void keep(const void* frame, Picture& to) override {
    auto& p = static_cast<DevicePicture&>(to);
    const DeviceGuard guard(exec_.device);
    p.on_device = on_device(frame);
    if (p.on_device) {
      check(cudaMemcpyAsync(p.samples.data(), frame, settings_.frame_bytes, cudaMemcpyDeviceToDevice, stream()),
            "copy of a frame");
    } else {
      std::memcpy(p.kept.data(), frame, settings_.frame_bytes);
    }
  }

  void image(int index, const void* frame, Picture& to) override {
    auto& p = static_cast<DevicePicture&>(to);
    const DeviceGuard guard(exec_.device);
    const Settle settle(stream());
    Set& set = sets_[index];
    DasRecord record = set.record;
    const bool from_host = frame ? !on_device(frame) : !p.on_device;
    if (!frame) frame = from_host ? p.kept.data() : p.samples.data();
    record.data = static_cast<const char*>(from_host ? p.samples.data() : frame);
    if (from_host) {
      check(cudaMemcpyAsync(p.samples.data(), frame, settings_.frame_bytes, cudaMemcpyHostToDevice, stream()),
            "copy of a frame");
      p.read.record(stream());
    }
    launch_das(exec_, set.problem, record, p.image.data());
    set.used.record(stream());
    display_(p.image.data(), p.envelope.data(), p.decibels.data(), p.grey.data(), p.report.data());
    check(cudaMemcpyAsync(p.said.data(), p.report.data(), sizeof(DisplayReport), cudaMemcpyDeviceToHost, stream()),
          "copy to host");
    p.done.record(stream());
    if (from_host) p.read.wait();
  }

  sonoray_status wait(Picture& picture) override {
    auto& p = static_cast<DevicePicture&>(picture);
    const DeviceGuard guard(exec_.device);
    p.done.wait();
    p.reference = p.said.data()->reference;
    const bool known = p.failed == p.said.data()->failed;
    p.failed = p.said.data()->failed;
    return known ? SONORAY_OK : SONORAY_DATA;
  }

  sonoray_status copy(Picture& picture, const sonoray_output& to) override {
    auto& p = static_cast<DevicePicture&>(picture);
    const DeviceGuard guard(exec_.device);
    const Settle settle(fetches_.get());
    bool queued = false;
    const bool host[] = {give(p, p.image.data(), to.image, to.image_bytes, queued),
                         give(p, p.envelope.data(), to.envelope, to.envelope_bytes, queued),
                         give(p, p.decibels.data(), to.decibels, to.decibels_bytes, queued),
                         give(p, p.grey.data(), to.grey, to.grey_bytes, queued)};
    const bool fetched = host[0] || host[1] || host[2] || host[3];
    if (fetched) p.done.wait();  // for this frame, not for those that were queued behind it since
    if (queued) p.done.record(stream());
    if (!fetched) return SONORAY_OK;
    p.reference = p.said.data()->reference;
    if (!p.said.data()->finite) {
      ++p.failed;
      return SONORAY_DATA;
    }
    if (host[0]) fetch(p.image.data(), to.image, to.image_bytes);
    if (host[1]) fetch(p.envelope.data(), to.envelope, to.envelope_bytes);
    if (host[2]) fetch(p.decibels.data(), to.decibels, to.decibels_bytes);
    if (host[3]) fetch(p.grey.data(), to.grey, to.grey_bytes);
    fetches_.wait();
    return SONORAY_OK;
  }

  void check_memory(const char* name, const void* pointer) const override {
    const DeviceGuard guard(exec_.device);
    const cudaPointerAttributes a = attributes(pointer);
    require(a.type != cudaMemoryTypeDevice || a.device == exec_.device,
            std::string(name) + ": expected memory of the host or of CUDA device " + std::to_string(exec_.device) +
                ", got device " + std::to_string(a.device) + "'s");
  }

  const void* read(const void* from, std::size_t bytes, std::vector<char>& room) override {
    const DeviceGuard guard(exec_.device);
    check_memory("array", from);
    if (!on_device(from)) return from;
    room.resize(bytes);
    transfer(room.data(), from, bytes, cudaMemcpyDeviceToHost);
    return room.data();
  }

  void write(void* to, const void* from, std::size_t bytes) override {
    const DeviceGuard guard(exec_.device);
    if (!on_device(to)) {
      std::memcpy(to, from, bytes);
    } else {
      transfer(to, from, bytes, cudaMemcpyHostToDevice);
    }
  }

 private:
  struct Set {
    DasProblem problem{};  // with the device's pointers
    DasRecord record{};
    DeviceBuffer<float> times, slowness;
    Event used;  // by the last frame that reads them
  };

  cudaStream_t stream() const { return stream_of(exec_); }

  static cudaPointerAttributes attributes(const void* pointer) {
    cudaPointerAttributes a{};
    check(cudaPointerGetAttributes(&a, pointer), "cudaPointerGetAttributes");
    return a;
  }

  /// Managed memory counts as the host's: what is there when a call returns, the host may read.
  static bool on_device(const void* pointer) { return attributes(pointer).type == cudaMemoryTypeDevice; }

  /// Queues an output in device memory (`queued` says so); true if it is the host's.
  template <class T>
  bool give(const DevicePicture& p, const T* from, void* to, std::size_t bytes, bool& queued) {
    if (!to) return false;
    if (!on_device(to)) return true;
    for_each(exec_, static_cast<std::int64_t>(bytes / sizeof(T)), Give<T>{p.report.data(), from, static_cast<T*>(to)});
    queued = true;
    return false;
  }

  void fetch(const void* from, void* to, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, fetches_.get()), "copy to host");
  }

  /// At once, behind what the caller's stream holds.
  void transfer(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const Settle settle(stream());
    check(cudaMemcpyAsync(to, from, bytes, kind, stream()), "copy");
    check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
  }

  Farewell farewell_;
  Cuda exec_;
  const Settings& settings_;
  OwnStream tables_, fetches_;
  DeviceDisplay display_;
  DeviceBuffer<float> points_, elements_, normals_, start_, weight_;
  Set sets_[2];
};

}  // namespace

std::unique_ptr<Place> make_device_place(const Settings& settings) {
  const int index = settings.config.device_index;
  int n = 0;
  const cudaError_t status = cudaGetDeviceCount(&n);
  if (status != cudaSuccess || n == 0) {
    cudaGetLastError();
    throw DeviceError(std::string("device: expected a CUDA device, found no CUDA device: ") +
                      (status == cudaSuccess ? "the driver has none" : cudaGetErrorString(status)));
  }
  if (index >= n)
    throw DeviceError("device_index: expected 0 to " + std::to_string(n - 1) + ", got " + std::to_string(index));
  const DeviceGuard guard(index);
  return std::make_unique<DevicePlace>(settings);
}

}  // namespace sonoray::capi
