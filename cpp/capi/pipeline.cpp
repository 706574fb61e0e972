#include "capi/pipeline.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray::capi {
namespace {

struct Item {
  const char* name;
  const void* pointer;
  std::size_t given, wanted, alignment;
};

void require_count(const char* name, std::int64_t wanted, std::int64_t got) {
  require(got == wanted,
          std::string(name) + ": expected " + std::to_string(wanted) + " values, got " + std::to_string(got));
}

std::unique_ptr<ThreadPool> make_pool(Cpu& exec, int threads) {
  exec.threads = thread_count(Cpu{threads});
  if (exec.threads == 1) return nullptr;
  try {
    auto pool = std::make_unique<ThreadPool>(exec.threads);
    exec.pool = pool.get();
    return pool;
  } catch (const std::system_error& e) {
    throw Failure(SONORAY_MEMORY, "threads: could not start " + std::to_string(exec.threads - 1) + ": " + e.what());
  }
}

}  // namespace

Pipeline::Pipeline(const sonoray_config* config)
    : settings_(read_config(config)),
      frame_pool_(make_pool(frames_, settings_.config.threads)),
      map_pool_(make_pool(maps_, settings_.config.map_threads)),
      network_(settings_) {
  const sonoray_config& c = settings_.config;
  DisplayProblem p;
  p.n_rows = settings_.n_rows;
  p.n_columns = settings_.n_columns;
  p.complex_values = settings_.complex_image();
  p.detected = c.compounding == SONORAY_INCOHERENT;
  p.gain = depth_gain(settings_.depths, c.attenuation,
                      c.center_frequency > 0 ? c.center_frequency : c.demodulation_frequency, c.surface, c.max_gain);
  p.dynamic_range = static_cast<float>(c.dynamic_range);
  p.reference = static_cast<float>(c.reference);
  p.scan = settings_.scan ? &*settings_.scan : nullptr;
  display_ = std::make_unique<DisplayPlan>(frames_, p);
  sets_[0].set_speed(frames_, settings_, c.sound_speed);
  sets_[0].finish(frames_, settings_);
  allocate(own);
}

void Pipeline::allocate(Picture& picture) const {
  const auto n = static_cast<std::size_t>(settings_.n_points());
  picture.image.resize(n * (settings_.complex_image() ? 2 : 1));
  picture.envelope.resize(n);
  picture.decibels.resize(n);
  picture.grey.resize(n_grey());
}

/// Frames leave `process` and their set of tables, whatever happens in between.
struct Pipeline::InFrame {
  explicit InFrame(Pipeline& p) : pipeline(p) {}
  ~InFrame() { pipeline.busy_.store(false, std::memory_order_release); }
  InFrame(const InFrame&) = delete;
  InFrame& operator=(const InFrame&) = delete;
  Pipeline& pipeline;
};

struct Pipeline::InUse {
  explicit InUse(Pipeline& p) : pipeline(p) {
    const std::lock_guard<std::mutex> hold(p.swapping_);
    set = p.active_;
    ++p.users_[set];
  }
  ~InUse() {
    {
      const std::lock_guard<std::mutex> hold(pipeline.swapping_);
      --pipeline.users_[set];
    }
    pipeline.released_.notify_all();
  }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
  Pipeline& pipeline;
  int set;
};

bool Pipeline::image(const void* frame, Picture& picture, sonoray_status& status) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  const InFrame frames(*this);
  {
    const InUse use(*this);
    sets_[use.set].plan()(frame, picture.image.data());
    picture.generation = sets_[use.set].generation;
  }
  const bool finite =
      (*display_)(picture.image.data(), picture.envelope.data(), picture.decibels.data(), picture.grey.data());
  picture.reference = display_->reference();
  status = finite ? SONORAY_OK : SONORAY_DATA;
  return true;
}

sonoray_status Pipeline::check(const sonoray_output& output, char* text, std::size_t capacity) const {
  const Item items[] = {
      {"image", output.image, output.image_bytes, own.image.size() * sizeof(float), alignof(float)},
      {"envelope", output.envelope, output.envelope_bytes, own.envelope.size() * sizeof(float), alignof(float)},
      {"decibels", output.decibels, output.decibels_bytes, own.decibels.size() * sizeof(float), alignof(float)},
      {"grey", output.grey, output.grey_bytes, own.grey.size(), 1},
  };
  for (const Item& item : items) {
    if (!item.pointer) continue;
    if (item.given == item.wanted && reinterpret_cast<std::uintptr_t>(item.pointer) % item.alignment == 0) continue;
    std::snprintf(text, capacity, "output.%s: expected %zu bytes, aligned to %zu, got %zu at %p", item.name,
                  item.wanted, item.alignment, item.given, item.pointer);
    return SONORAY_ARGUMENT;
  }
  return SONORAY_OK;
}

void Pipeline::copy(const Picture& from, const sonoray_output& to) {
  if (to.image) std::memcpy(to.image, from.image.data(), to.image_bytes);
  if (to.envelope) std::memcpy(to.envelope, from.envelope.data(), to.envelope_bytes);
  if (to.decibels) std::memcpy(to.decibels, from.decibels.data(), to.decibels_bytes);
  if (to.grey) std::memcpy(to.grey, from.grey.data(), to.grey_bytes);
}

/// make(tables) fills the set that no frame uses; then frames use it.
template <class Make>
void Pipeline::replace(const Make& make) {
  const std::lock_guard<std::mutex> one(making_);
  int idle;
  {
    std::unique_lock<std::mutex> hold(swapping_);
    idle = 1 - active_;
    released_.wait(hold, [&] { return users_[idle] == 0; });
  }
  Tables& tables = sets_[idle];
  make(tables);
  tables.finish(frames_, settings_);
  const std::lock_guard<std::mutex> hold(swapping_);
  tables.generation = ++generation_;
  active_ = idle;
}

void Pipeline::place_map(const float* sound_speed) {
  replace([&](Tables& tables) { tables.set_map(maps_, settings_, sound_speed); });
}

void Pipeline::set_map(const float* sound_speed, std::int64_t count) {
  if (!settings_.map) throw Failure(SONORAY_STATE, "map: no grid for maps was configured");
  require(sound_speed != nullptr, "sound_speed: expected an array, got NULL");
  require_count("sound_speed", settings_.map->size(), count);
  place_map(sound_speed);
}

void Pipeline::set_tables(const float* times, std::int64_t times_count, const float* slowness,
                          std::int64_t slowness_count, const sonoray_grid* table) {
  require(times != nullptr, "times: expected an array, got NULL");
  require_count("times", settings_.config.n_transmits * settings_.n_points(), times_count);
  EikonalGrid grid;
  if (slowness) {
    require(table != nullptr, "table: expected the grid of slowness, got NULL");
    grid = read_map_grid(*table, "table");
    require_count("slowness", settings_.config.n_elements * grid.size(), slowness_count);
  }
  replace([&](Tables& tables) { tables.set_given(settings_, times, slowness, &grid); });
}

void Pipeline::estimate_map(const void* frame, std::size_t bytes, float* sound_speed, std::int64_t count) {
  require(frame != nullptr, "frame: expected a frame, got NULL");
  require(bytes == settings_.frame_bytes,
          "frame_bytes: expected " + std::to_string(settings_.frame_bytes) + ", got " + std::to_string(bytes));
  if (!settings_.map) throw Failure(SONORAY_STATE, "map: no grid for maps was configured");
  if (sound_speed) require_count("sound_speed", settings_.map->size(), count);
  std::vector<float> found = network_(settings_, frame);
  const double* limits = settings_.config.map_limits;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!std::isfinite(found[i]))
      throw Failure(SONORAY_MODEL,
                    "network: expected finite sound speeds, got NaN or infinity at " + std::to_string(i));
    found[i] = std::fmin(std::fmax(found[i], static_cast<float>(limits[0])), static_cast<float>(limits[1]));
  }
  place_map(found.data());
  if (sound_speed) std::memcpy(sound_speed, found.data(), found.size() * sizeof(float));
}

std::uint32_t Pipeline::generation() {
  const std::lock_guard<std::mutex> hold(swapping_);
  return generation_;
}

}  // namespace sonoray::capi
