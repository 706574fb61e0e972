// The device's side of the C API, compiled for the host; delay-and-sum is the host's.
#include "beamforming/das_plan.h"
#include "capi/place.cu"
#include "imaging/display.cu"
#include "imaging/envelope.cu"

namespace sonoray {

void launch_das(const Cuda& exec, const DasProblem& p, const DasRecord& r, float* image) {
  Strided s;
  const bool pair = r.type == DasSample::int16_pair;
  s.kind = r.type == DasSample::complex64 ? 'c' : r.type == DasSample::float32 ? 'f' : 'i';
  s.item_size = r.type == DasSample::complex64 ? 8 : r.type == DasSample::float32 ? 4 : 2;
  s.n_axes = pair ? 5 : 4;
  const std::int64_t shape[] = {r.n_frames, p.tx_time.shape[0], p.elements.shape[0], r.n_samples, 2};
  const std::int64_t stride[] = {r.frame, r.tx, r.rx, r.sample, 2};
  for (int d = 0; d < 5; ++d) {
    s.shape[d] = shape[d];
    s.stride[d] = stride[d];
  }
  const char* const data = r.data;
  check(fake::launch(stream_of(exec), [=] { DasPlan(Cpu{1}, p, s)(data, image); }), "kernel launch");
}

}  // namespace sonoray
