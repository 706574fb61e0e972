// In place of cuda/capi/place.cu, in libraries without CUDA.
#include "capi/place.h"

namespace sonoray::capi {

std::unique_ptr<Place> make_device_place(const Settings&) {
  throw Failure(SONORAY_UNSUPPORTED,
                "device: expected SONORAY_CPU, got SONORAY_CUDA, which this library was built without");
}

}  // namespace sonoray::capi
