#include "capi/network.h"

#include <cstring>

namespace sonoray::capi {
namespace {

/// A frame of any strides as float32 in C order.
void convert(const Strided& s, const void* frame, float* to) {
  const int numbers = s.kind == 'c' || s.n_axes == 5 ? 2 : 1;
  const bool narrow = s.kind == 'i';
  for (std::int64_t t = 0; t < s.shape[1]; ++t)
    for (std::int64_t e = 0; e < s.shape[2]; ++e)
      for (std::int64_t i = 0; i < s.shape[3]; ++i) {
        const char* at = static_cast<const char*>(frame) + t * s.stride[1] + e * s.stride[2] + i * s.stride[3];
        for (int k = 0; k < numbers; ++k, ++to) {
          if (narrow) {
            std::int16_t value;
            std::memcpy(&value, at + 2 * k, sizeof value);
            *to = value;
          } else {
            std::memcpy(to, at + 4 * k, sizeof *to);
          }
        }
      }
}

}  // namespace

Network::Network(const Settings& s) : call_(s.config.network), user_(s.config.network_user) {
  if (!call_ && !s.model.empty()) session_ = open_session(s.model, s.config.map_threads);
  if (!s.map) return;
  input_shape_ = {1, s.samples.shape[1], s.samples.shape[2], s.samples.shape[3]};
  if (s.iq()) input_shape_.push_back(2);
  output_shape_.push_back(1);
  for (int i = 0; i < s.map->ndim; ++i) output_shape_.push_back(s.map->shape[i]);
}

std::vector<float> Network::operator()(const Settings& s, const void* frame) {
  if (!call_ && !session_) throw Failure(SONORAY_STATE, "network: none was configured");
  std::size_t n = 1;
  for (const std::int64_t size : input_shape_) n *= static_cast<std::size_t>(size);
  std::vector<float> input(n), output(s.map->size());
  convert(s.samples, frame, input.data());
  if (!call_) {
    session_->run(input.data(), input_shape_, output.data(), output_shape_);
    return output;
  }
  const std::int32_t code =
      call_(user_, input.data(), input_shape_.data(), static_cast<std::int32_t>(input_shape_.size()), output.data(),
            output_shape_.data(), static_cast<std::int32_t>(output_shape_.size()));
  if (code) throw Failure(SONORAY_MODEL, "network: expected 0 from the caller's function, got " + std::to_string(code));
  return output;
}

#if !defined(SONORAY_HAS_ONNXRUNTIME)
std::unique_ptr<Session> open_session(const std::string&, int) {
  throw Failure(SONORAY_UNSUPPORTED,
                "model: this library was built without ONNX Runtime; give a function as `network` instead");
}
#endif

}  // namespace sonoray::capi
