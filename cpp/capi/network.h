#pragma once
// Sound speed by a network: the caller's function, or an ONNX file where the library was built with ONNX Runtime.
#include <memory>
#include <vector>

#include "capi/settings.h"

namespace sonoray::capi {

/// A network that the library runs itself.
class Session {
 public:
  virtual ~Session() = default;
  virtual void run(const float* input, const std::vector<std::int64_t>& input_shape, float* output,
                   const std::vector<std::int64_t>& output_shape) = 0;
};

/// Throws Failure: SONORAY_UNSUPPORTED without ONNX Runtime, SONORAY_MODEL where the file is none.
std::unique_ptr<Session> open_session(const std::string& path, int threads);

class Network {
 public:
  explicit Network(const Settings&);

  /// Output (*map.shape) for a frame. Throws Failure.
  std::vector<float> operator()(const Settings&, const void* frame);

 private:
  sonoray_network call_ = nullptr;
  void* user_ = nullptr;
  std::unique_ptr<Session> session_;
  std::vector<std::int64_t> input_shape_, output_shape_;
};

}  // namespace sonoray::capi
