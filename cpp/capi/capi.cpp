// The border: every function turns exceptions into statuses, and keeps their text in the handle.
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

#include "capi/pipeline.h"
#include "capi/sonoray.h"
#include "capi/stream.h"
#include "core/error.h"

using namespace sonoray;
using namespace sonoray::capi;

struct sonoray_pipeline {
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<Stream> stream;
  mutable std::mutex lock;  // of the text
  mutable char text[512] = "";
};

namespace {

sonoray_status fail(const sonoray_pipeline* p, sonoray_status status, const char* text) {
  const std::lock_guard<std::mutex> hold(p->lock);
  std::snprintf(p->text, sizeof p->text, "%s", text);
  return status;
}

/// body(), with exceptions as statuses.
template <class Body>
sonoray_status guarded(sonoray_pipeline* p, const Body& body) {
  if (!p) return SONORAY_ARGUMENT;
  try {
    return body();
  } catch (const Failure& e) {
    return fail(p, e.status, e.text.c_str());
  } catch (const ArgumentError& e) {
    return fail(p, SONORAY_ARGUMENT, e.what());
  } catch (const DeviceLost& e) {
    if (p->stream) {
      p->stream->lose(e.what());  // other calls may be waiting
    } else if (p->pipeline) {
      p->pipeline->lose(e.what());
    }
    return fail(p, SONORAY_DEVICE_LOST, e.what());
  } catch (const DeviceError& e) {
    return fail(p, SONORAY_DEVICE, e.what());
  } catch (const std::bad_alloc&) {
    return fail(p, SONORAY_MEMORY, "out of memory");
  } catch (const std::system_error& e) {
    return fail(p, SONORAY_MEMORY, e.what());
  } catch (const std::exception& e) {
    return fail(p, SONORAY_INTERNAL, e.what());
  } catch (...) {
    return fail(p, SONORAY_INTERNAL, "unknown exception");
  }
}

sonoray_status not_prepared(const sonoray_pipeline* p) {
  return fail(p, SONORAY_STATE, "pipeline: not prepared; call sonoray_pipeline_prepare first");
}

sonoray_status not_started(sonoray_pipeline* p) {
  return fail(p, SONORAY_STATE, "pipeline: not streaming; call sonoray_pipeline_start first");
}

sonoray_status device_lost(sonoray_pipeline* p) {
  char loss[400], text[512];
  p->pipeline->loss(loss, sizeof loss);
  std::snprintf(text, sizeof text, "%s; the device is lost: stop, then prepare anew or destroy the handle", loss);
  return fail(p, SONORAY_DEVICE_LOST, text);
}

/// body() with exceptions as statuses, for calls that need a prepared pipeline whose device is there.
template <class Body>
sonoray_status with_pipeline(sonoray_pipeline* p, const Body& body) {
  return guarded(p, [&]() -> sonoray_status {
    if (!p->pipeline) return not_prepared(p);
    if (p->pipeline->lost()) return device_lost(p);
    return body();
  });
}

/// The same for calls that need a stream.
template <class Body>
sonoray_status with_stream(sonoray_pipeline* p, const Body& body) {
  return guarded(p, [&]() -> sonoray_status {
    if (!p->stream) return not_started(p);
    if (p->pipeline->lost()) return device_lost(p);
    return body();
  });
}

sonoray_status check_frame(sonoray_pipeline* p, const void* frame, std::size_t bytes) {
  char text[200];
  const sonoray_status status = p->pipeline->check_frame(frame, bytes, text, sizeof text);
  return status ? fail(p, status, text) : SONORAY_OK;
}

/// The caller's output, of whatever size, as this version's.
sonoray_status read_output(sonoray_pipeline* p, const sonoray_output* output, sonoray_output& to) {
  if (!output) return fail(p, SONORAY_ARGUMENT, "output: expected a sonoray_output, got NULL");
  if (!known_size(output->size, first_output, sizeof to))
    return fail(p, SONORAY_ARGUMENT, "output: expected size to be sizeof(sonoray_output)");
  to = {};
  std::memcpy(&to, output, output->size);
  char text[200];
  const sonoray_status status = p->pipeline->check(to, text, sizeof text);
  return status ? fail(p, status, text) : SONORAY_OK;
}

sonoray_status bad_data(sonoray_pipeline* p) {
  return fail(p, SONORAY_DATA, "frame: expected samples that give finite values, got NaN or infinity in the image");
}

void fail_frame(sonoray_pipeline* p, sonoray_status status, const char* why) {
  char text[400];
  std::snprintf(text, sizeof text, "frame: the %s failed: %s", status == SONORAY_DEVICE ? "device" : "worker", why);
  fail(p, status, text);
}

}  // namespace

extern "C" {

const char* sonoray_version(void) { return SONORAY_VERSION; }

const char* sonoray_status_text(sonoray_status status) {
  static const char* const texts[] = {"ok",    "argument", "state", "data",      "device",   "unsupported", "memory",
                                      "model", "timeout",  "full",  "cancelled", "internal", "device lost"};
  return status >= 0 && status <= SONORAY_DEVICE_LOST ? texts[status] : "unknown";
}

sonoray_status sonoray_config_init(sonoray_config* config, std::size_t config_size, std::size_t transmit_size) {
  if (!config || !known_size(config_size, first_config, sizeof(sonoray_config)) ||
      !known_size(transmit_size, first_transmit, sizeof(sonoray_transmit)))
    return SONORAY_ARGUMENT;
  sonoray_config c{};
  c.size = config_size;
  c.transmit_size = transmit_size;
  c.map_threads = 1;
  c.sequence_sound_speed = c.sound_speed = 1540.0;
  c.f_number = 1.5;
  c.window = SONORAY_HANN;
  c.tukey_taper = 0.5;
  c.element_width = -1.0;
  c.max_gain = c.dynamic_range = 60.0;
  c.table_spacing = 5e-4;
  c.map_limits[0] = 1380.0;
  c.map_limits[1] = 1680.0;
  std::memcpy(config, &c, config_size);
  return SONORAY_OK;
}

sonoray_status sonoray_pipeline_create(sonoray_pipeline** pipeline) {
  if (!pipeline) return SONORAY_ARGUMENT;
  *pipeline = new (std::nothrow) sonoray_pipeline;
  return *pipeline ? SONORAY_OK : SONORAY_MEMORY;
}

sonoray_status sonoray_pipeline_prepare(sonoray_pipeline* p, const sonoray_config* config) {
  return guarded(p, [&]() -> sonoray_status {
    if (p->stream) return fail(p, SONORAY_STATE, "pipeline: streaming; call sonoray_pipeline_stop first");
    p->pipeline.reset();
    p->pipeline = std::make_unique<Pipeline>(config);
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_process(sonoray_pipeline* p, const void* frame, std::size_t frame_bytes,
                                        const sonoray_output* output) {
  return with_pipeline(p, [&]() -> sonoray_status {
    if (p->stream) return fail(p, SONORAY_STATE, "pipeline: streaming; push frames, or stop first");
    if (const sonoray_status status = check_frame(p, frame, frame_bytes)) return status;
    sonoray_output to;
    if (const sonoray_status status = read_output(p, output, to)) return status;
    if (!p->pipeline->image(frame, *p->pipeline->own))
      return fail(p, SONORAY_STATE, "pipeline: another thread is in sonoray_pipeline_process");
    return p->pipeline->place().copy(*p->pipeline->own, to) ? bad_data(p) : SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_wait(sonoray_pipeline* p) {
  return with_pipeline(p, [&]() -> sonoray_status {
    if (p->stream) return fail(p, SONORAY_STATE, "pipeline: streaming; pop gives the frames");
    return p->pipeline->place().wait(*p->pipeline->own) ? bad_data(p) : SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_sizes(const sonoray_pipeline* p, std::size_t* frame_bytes, std::size_t* image_bytes,
                                      std::size_t* envelope_bytes, std::size_t* grey_bytes) {
  if (!p) return SONORAY_ARGUMENT;
  if (!p->pipeline) return not_prepared(p);
  const Settings& s = p->pipeline->settings();
  if (frame_bytes) *frame_bytes = s.frame_bytes;
  if (image_bytes) *image_bytes = s.image_bytes();
  if (envelope_bytes) *envelope_bytes = s.envelope_bytes();
  if (grey_bytes) *grey_bytes = static_cast<std::size_t>(s.n_grey());
  return SONORAY_OK;
}

sonoray_status sonoray_pipeline_set_map(sonoray_pipeline* p, const float* sound_speed, int64_t count) {
  return with_pipeline(p, [&]() -> sonoray_status {
    p->pipeline->set_map(sound_speed, count);
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_set_tables(sonoray_pipeline* p, const float* times, int64_t times_count,
                                           const float* slowness, int64_t slowness_count, const sonoray_grid* table) {
  return with_pipeline(p, [&]() -> sonoray_status {
    p->pipeline->set_tables(times, times_count, slowness, slowness_count, table);
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_estimate_map(sonoray_pipeline* p, const void* frame, std::size_t frame_bytes,
                                             float* sound_speed, int64_t count) {
  return with_pipeline(p, [&]() -> sonoray_status {
    if (const sonoray_status status = check_frame(p, frame, frame_bytes)) return status;
    p->pipeline->estimate_map(frame, sound_speed, count);
    return SONORAY_OK;
  });
}

std::size_t sonoray_pipeline_last_error(const sonoray_pipeline* p, char* text, std::size_t capacity) {
  if (text && capacity) text[0] = 0;
  if (!p) return 0;
  const std::lock_guard<std::mutex> hold(p->lock);
  const std::size_t length = std::strlen(p->text);
  if (text && capacity) std::snprintf(text, capacity, "%s", p->text);
  return length;
}

void sonoray_pipeline_destroy(sonoray_pipeline* p) { delete p; }

sonoray_status sonoray_pipeline_start(sonoray_pipeline* p) {
  return with_pipeline(p, [&]() -> sonoray_status {
    if (p->stream) return fail(p, SONORAY_STATE, "pipeline: streaming already");
    if (!p->pipeline->settings().config.ring_frames)
      return fail(p, SONORAY_STATE, "ring_frames: expected 2 to 4096 in the configuration, got 0");
    p->stream = std::make_unique<Stream>(*p->pipeline);
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_push(sonoray_pipeline* p, const void* frame, std::size_t frame_bytes, uint64_t number) {
  return with_stream(p, [&]() -> sonoray_status {
    if (const sonoray_status status = check_frame(p, frame, frame_bytes)) return status;
    const sonoray_status status = p->stream->push(frame, number);
    if (status == SONORAY_FULL) return fail(p, status, "ring: full");
    if (status == SONORAY_CANCELLED) return fail(p, status, "push: cancelled");
    if (status == SONORAY_DEVICE_LOST) return device_lost(p);
    return status;
  });
}

sonoray_status sonoray_pipeline_pop(sonoray_pipeline* p, double timeout, const sonoray_output* output,
                                    sonoray_frame_info* info) {
  return with_stream(p, [&]() -> sonoray_status {
    if (std::isnan(timeout)) return fail(p, SONORAY_ARGUMENT, "timeout: expected seconds, got NaN");
    if (info && !known_size(info->size, first_info, sizeof(sonoray_frame_info)))
      return fail(p, SONORAY_ARGUMENT, "info: expected size to be sizeof(sonoray_frame_info)");
    sonoray_output to;
    if (const sonoray_status status = read_output(p, output, to)) return status;
    sonoray_frame_info about{};
    Stream::Text text{};
    sonoray_status status = p->stream->pop(timeout, to, about, text);
    const sonoray_status of_frame = status == SONORAY_OK ? about.status : status;
    if (status == SONORAY_OK && info) {
      about.size = info->size;
      std::memcpy(info, &about, info->size);
    }
    if (!info) status = of_frame;
    if (of_frame == SONORAY_DATA) bad_data(p);
    if (of_frame == SONORAY_DEVICE_LOST) device_lost(p);
    if (of_frame == SONORAY_DEVICE || of_frame == SONORAY_INTERNAL) fail_frame(p, of_frame, text.data());
    if (status == SONORAY_TIMEOUT) return fail(p, status, "pop: no frame in the time given");
    if (status == SONORAY_CANCELLED) return fail(p, status, "pop: cancelled");
    return status;
  });
}

sonoray_status sonoray_pipeline_cancel(sonoray_pipeline* p) {
  return guarded(p, [&]() -> sonoray_status {
    if (!p->stream) return not_started(p);
    p->stream->cancel();
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_stop(sonoray_pipeline* p) {
  return guarded(p, [&]() -> sonoray_status {
    if (!p->stream) return not_started(p);
    p->stream.reset();
    return SONORAY_OK;
  });
}

sonoray_status sonoray_pipeline_statistics(sonoray_pipeline* p, sonoray_statistics* statistics) {
  return guarded(p, [&]() -> sonoray_status {
    if (!p->stream) return not_started(p);
    if (!statistics || !known_size(statistics->size, first_statistics, sizeof(sonoray_statistics)))
      return fail(p, SONORAY_ARGUMENT, "statistics: expected size to be sizeof(sonoray_statistics)");
    sonoray_statistics s{};
    p->stream->statistics(s);
    s.size = statistics->size;
    std::memcpy(statistics, &s, s.size);
    return SONORAY_OK;
  });
}

}  // extern "C"
