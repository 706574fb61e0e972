#pragma once
// What das.cpp needs of the files that are compiled once per processor level.
#include <cstdint>

#include "beamforming/das.h"

namespace sonoray {

/// How the points are cut into tiles, and a tile into groups of `lanes` points, one from each row of a column.
struct DasTiles {
  std::int64_t n_rows, n_columns;  ///< the points as a table, maybe regrouped
  int lanes, blocks, columns;      ///< a tile has blocks * lanes rows; groups = blocks * columns
  int transmits, elements;         ///< transmits and elements handled at once
  int frames;                      ///< frames handled at once
  std::int64_t across, down;       ///< tiles along columns and rows
  std::int64_t scratch;            ///< floats of working memory per thread
};

/// Samples beyond either end of a record that count as zeros and may be read.
inline constexpr int das_margin = 64;

/// Most floats that one staged trace takes.
SONORAY_INLINE constexpr std::int64_t das_stage_stride(std::int64_t n_samples) {
  return n_samples + 2 * das_margin + 16;
}

/// Distance between entries of the arrays over elements and groups: eight groups are written at once.
SONORAY_INLINE constexpr std::int64_t das_group_stride(const DasTiles& tiles) {
  return (tiles.blocks * tiles.columns + 7) / 8 * 8;
}

/// A chunk of points for the adjoint and for the frame schedule.
inline constexpr int das_chunk = 256;

/// The samples' four axes, and what a sample is.
enum class DasSample { int16, float32, int16_pair, complex64 };

struct DasRecord {
  const char* data;
  DasSample type;
  std::int64_t n_frames, n_samples;
  std::int64_t frame, tx, rx, sample;  ///< strides in bytes
};

#define SONORAY_DAS_LEVEL(level)                                                                                   \
  namespace level {                                                                                                \
  void das_tile(const DasProblem&, const DasTiles&, const DasRecord&, std::int64_t tile, std::int64_t first_frame, \
                float* image, float* scratch);                                                                     \
  void das_frame_tile(const DasProblem&, const DasTiles&, const DasRecord&, std::int64_t tile, float* image,       \
                      float* scratch);                                                                             \
  void das_adjoint_element(const DasProblem&, std::int64_t e, const std::int64_t* points, std::int64_t n_points,   \
                           const float* image, std::int64_t n_frames, std::int64_t n_samples, float* samples);     \
  }
SONORAY_DAS_LEVEL(baseline)
SONORAY_DAS_LEVEL(v3)
SONORAY_DAS_LEVEL(v4)
#undef SONORAY_DAS_LEVEL

}  // namespace sonoray
