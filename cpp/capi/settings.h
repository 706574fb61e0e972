#pragma once
// A configuration as the library keeps it: checked, and copied out of the caller's memory.
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "beamforming/transmit_times.h"
#include "capi/sonoray.h"
#include "core/strided.h"
#include "imaging/display.h"
#include "rays/eikonal.h"

namespace sonoray::capi {

/// A failure with its status; ArgumentError and DeviceError have theirs.
struct Failure : std::exception {
  Failure(sonoray_status s, std::string t) : status(s), text(std::move(t)) {}
  const char* what() const noexcept override { return text.c_str(); }
  sonoray_status status;
  std::string text;
};

struct Settings {
  sonoray_config config{};  ///< numbers; what its pointers showed is below
  std::vector<float> elements, normals, points, start;
  waves::TransmitProblem waves;  ///< the same geometry in double; speed and table stay open
  std::vector<float> tx_weight;  ///< (n_transmits, n_points), or empty for ones
  std::int64_t n_rows = 0, n_columns = 0;
  std::vector<double> depths;  ///< (n_columns) [m] depth or range
  std::optional<ScanConversion> scan;
  std::optional<EikonalGrid> map;
  std::string model;
  Strided samples{};  ///< type, shape and strides of one frame
  std::size_t frame_bytes = 0, frame_alignment = 1;

  std::int64_t n_points() const { return n_rows * n_columns; }
  std::int64_t n_grey() const { return scan ? scan->shape[0] * scan->shape[1] : n_points(); }
  std::size_t image_bytes() const { return static_cast<std::size_t>(n_points()) * (complex_image() ? 8 : 4); }
  std::size_t envelope_bytes() const { return static_cast<std::size_t>(n_points()) * 4; }
  bool on_device() const { return config.device == SONORAY_CUDA; }
  bool iq() const { return config.demodulation_frequency > 0; }
  bool complex_image() const { return iq() && config.compounding == SONORAY_COHERENT; }
};

/// Throws ArgumentError, Failure or std::bad_alloc.
Settings read_config(const sonoray_config* config);

/// Whether a caller's struct is one that this version knows: from the first of this ABI on. A field that is appended
/// leaves the number as it is.
constexpr bool known_size(std::size_t size, std::size_t first, std::size_t ours) {
  return size >= first && size <= ours;
}
constexpr std::size_t first_config = 760, first_transmit = 112, first_output = 72, first_info = 40,
                      first_statistics = 96;
static_assert(first_config <= sizeof(sonoray_config) && first_transmit <= sizeof(sonoray_transmit) &&
                  first_output <= sizeof(sonoray_output) && first_info <= sizeof(sonoray_frame_info) &&
                  first_statistics <= sizeof(sonoray_statistics),
              "numbers of 64-bit processors");

/// A table's or map's grid. `name` is the argument's.
EikonalGrid read_map_grid(const sonoray_grid& grid, const char* name);

/// Throws unless low <= value <= high; names the argument, wanted and got.
double scalar(const char* name, double value, double low, double high, const char* unit);

}  // namespace sonoray::capi
