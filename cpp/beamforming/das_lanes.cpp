#include "beamforming/das_tile.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

struct Call {
  const DasProblem& p;
  const DasTiles& tiles;
  const DasRecord& record;
  std::int64_t tile, first_frame;
  float *image, *scratch;
};

template <int W, bool IQ, int TAPS, bool WEIGHTED>
void run(const Call& c) {
  Tile<W, IQ, TAPS, WEIGHTED> tile(c.p, c.tiles, c.record, c.tile, c.scratch);
  const std::int64_t left = c.record.n_frames - c.first_frame;
  tile.run(c.first_frame, static_cast<int>(left < c.tiles.frames ? left : c.tiles.frames), c.image);
}

template <int W, int TAPS>
void pick(const Call& c) {
  const bool pairs = c.record.type == DasSample::int16_pair || c.record.type == DasSample::complex64;
  if (pairs) {
    run<W, true, TAPS, true>(c);
  } else if (das_kernel::is_weighted(c.p)) {
    run<W, false, TAPS, true>(c);
  } else {
    run<W, false, TAPS, false>(c);
  }
}

template <int W>
void pick_taps(const Call& c) {
  if (c.p.cubic) {
    pick<W, 4>(c);
  } else {
    pick<W, 2>(c);
  }
}

}  // namespace

void das_tile(const DasProblem& p, const DasTiles& tiles, const DasRecord& record, std::int64_t tile,
              std::int64_t first_frame, float* image, float* scratch) {
  const Call call{p, tiles, record, tile, first_frame, image, scratch};
  if (tiles.lanes == 16) {
    pick_taps<16>(call);
  } else {
    pick_taps<8>(call);
  }
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray
