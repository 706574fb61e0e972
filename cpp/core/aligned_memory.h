#pragma once
#include <cstdint>
#include <memory>

namespace sonoray {

/// 64-byte aligned floats that are not touched before their use.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::int64_t floats) : data_(new float[floats + 16]) {}
  float* data() const {
    const auto address = reinterpret_cast<std::uintptr_t>(data_.get());
    return data_.get() + (64 - address % 64) % 64 / sizeof(float);
  }

 private:
  std::unique_ptr<float[]> data_;
};

}  // namespace sonoray
