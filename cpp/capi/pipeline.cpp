#include "capi/pipeline.h"

#include <cmath>
#include <cstdio>
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
  place_ = settings_.on_device() ? make_device_place(settings_) : make_host_place(frames_, settings_);
  sets_[0].set_speed(frames_, settings_, settings_.config.sound_speed);
  place_->set_tables(0, sets_[0].problem(settings_));
  own = place_->picture(false);
}

void Pipeline::lose(const char* text) noexcept {
  const std::lock_guard<std::mutex> hold(losing_);
  if (!lost_) std::snprintf(loss_, sizeof loss_, "%s", text);
  lost_.store(true, std::memory_order_release);
}

void Pipeline::loss(char* text, std::size_t capacity) const noexcept {
  const std::lock_guard<std::mutex> hold(losing_);
  std::snprintf(text, capacity, "%s", loss_);
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

bool Pipeline::image(const void* frame, Picture& picture) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  const InFrame frames(*this);
  const InUse use(*this);
  place_->image(use.set, frame, picture);
  picture.generation = sets_[use.set].generation;
  return true;
}

sonoray_status Pipeline::check_frame(const void* frame, std::size_t bytes, char* text, std::size_t capacity) const {
  const std::size_t wanted = settings_.frame_bytes, alignment = settings_.frame_alignment;
  if (frame && bytes == wanted && reinterpret_cast<std::uintptr_t>(frame) % alignment == 0) {
    place_->check_memory("frame", frame);
    return SONORAY_OK;
  }
  std::snprintf(text, capacity, "frame: expected %zu bytes, aligned to %zu, got %zu at %p", wanted, alignment, bytes,
                frame);
  return SONORAY_ARGUMENT;
}

sonoray_status Pipeline::check(const sonoray_output& output, char* text, std::size_t capacity) const {
  const std::size_t envelope = settings_.envelope_bytes();
  const Item items[] = {
      {"output.image", output.image, output.image_bytes, settings_.image_bytes(), alignof(float)},
      {"output.envelope", output.envelope, output.envelope_bytes, envelope, alignof(float)},
      {"output.decibels", output.decibels, output.decibels_bytes, envelope, alignof(float)},
      {"output.grey", output.grey, output.grey_bytes, static_cast<std::size_t>(settings_.n_grey()), 1},
  };
  for (const Item& item : items) {
    if (!item.pointer) continue;
    if (item.given == item.wanted && reinterpret_cast<std::uintptr_t>(item.pointer) % item.alignment == 0) {
      place_->check_memory(item.name, item.pointer);
      continue;
    }
    std::snprintf(text, capacity, "%s: expected %zu bytes, aligned to %zu, got %zu at %p", item.name, item.wanted,
                  item.alignment, item.given, item.pointer);
    return SONORAY_ARGUMENT;
  }
  return SONORAY_OK;
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
  place_->set_tables(idle, tables.problem(settings_));
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
  std::vector<char> room;
  place_map(static_cast<const float*>(place_->read(sound_speed, sizeof(float) * count, room)));
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
  std::vector<char> rooms[2];
  const auto read = [&](const float* from, std::int64_t n, std::vector<char>& room) {
    return from ? static_cast<const float*>(place_->read(from, sizeof(float) * n, room)) : nullptr;
  };
  times = read(times, times_count, rooms[0]);
  slowness = read(slowness, slowness_count, rooms[1]);
  replace([&](Tables& tables) { tables.set_given(settings_, times, slowness, &grid); });
}

void Pipeline::estimate_map(const void* frame, float* sound_speed, std::int64_t count) {
  if (!settings_.map) throw Failure(SONORAY_STATE, "map: no grid for maps was configured");
  if (sound_speed) require_count("sound_speed", settings_.map->size(), count);
  if (sound_speed) place_->check_memory("sound_speed", sound_speed);
  std::vector<char> room;
  std::vector<float> found = network_(settings_, place_->read(frame, settings_.frame_bytes, room));
  const double* limits = settings_.config.map_limits;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!std::isfinite(found[i]))
      throw Failure(SONORAY_MODEL,
                    "network: expected finite sound speeds, got NaN or infinity at " + std::to_string(i));
    found[i] = std::fmin(std::fmax(found[i], static_cast<float>(limits[0])), static_cast<float>(limits[1]));
  }
  place_map(found.data());
  if (sound_speed) place_->write(sound_speed, found.data(), found.size() * sizeof(float));
}

std::uint32_t Pipeline::generation() {
  const std::lock_guard<std::mutex> hold(swapping_);
  return generation_;
}

}  // namespace sonoray::capi
