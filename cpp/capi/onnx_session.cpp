// Networks from ONNX files, through the C API of ONNX Runtime. Only built with -DSONORAY_ONNXRUNTIME=<root>.
#include <onnxruntime_c_api.h>

#include <array>
#include <cstddef>

#include "capi/network.h"

namespace sonoray::capi {
namespace {

// The oldest interface that has what is used here: any later library serves it.
constexpr std::uint32_t interface_version = 11;

class OnnxSession : public Session {
 public:
  OnnxSession(const std::string& path, int threads) {
    const OrtApiBase* base = OrtGetApiBase();
    api_ = base ? base->GetApi(interface_version) : nullptr;
    if (!api_) throw Failure(SONORAY_UNSUPPORTED, "model: this ONNX Runtime is too old");
    try {
      open(path, threads);
    } catch (...) {
      close();
      throw;
    }
  }
  ~OnnxSession() override { close(); }
  OnnxSession(const OnnxSession&) = delete;
  OnnxSession& operator=(const OnnxSession&) = delete;

  void run(const float* input, const std::vector<std::int64_t>& input_shape, float* output,
           const std::vector<std::int64_t>& output_shape) override {
    OrtValue* values[2] = {nullptr, nullptr};
    try {
      values[0] = tensor(const_cast<float*>(input), input_shape);
      values[1] = tensor(output, output_shape);
      const char* const inputs[] = {names_[0]};
      const char* const outputs[] = {names_[1]};
      const OrtValue* const given[] = {values[0]};
      require_ok(api_->Run(session_, nullptr, inputs, given, 1, outputs, 1, &values[1]));
    } catch (...) {
      release(values);
      throw;
    }
    release(values);
  }

 private:
  void open(const std::string& path, int threads) {
    require_ok(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "sonoray", &environment_));
    require_ok(api_->CreateSessionOptions(&options_));
    require_ok(api_->SetIntraOpNumThreads(options_, threads));
    require_ok(api_->AddSessionConfigEntry(options_, "session.intra_op.allow_spinning", "0"));
    require_ok(api_->CreateSession(environment_, path.c_str(), options_, &session_));
    require_ok(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
    require_ok(api_->GetAllocatorWithDefaultOptions(&allocator_));
    std::size_t inputs = 0, outputs = 0;
    require_ok(api_->SessionGetInputCount(session_, &inputs));
    require_ok(api_->SessionGetOutputCount(session_, &outputs));
    if (inputs != 1 || outputs < 1)
      throw Failure(SONORAY_MODEL, "model: expected one input and an output, got " + std::to_string(inputs) + " and " +
                                       std::to_string(outputs));
    require_ok(api_->SessionGetInputName(session_, 0, allocator_, &names_[0]));
    require_ok(api_->SessionGetOutputName(session_, 0, allocator_, &names_[1]));
  }

  void close() {
    for (char* name : names_) {
      OrtStatus* const status = name ? api_->AllocatorFree(allocator_, name) : nullptr;
      if (status) api_->ReleaseStatus(status);
    }
    if (memory_) api_->ReleaseMemoryInfo(memory_);
    if (session_) api_->ReleaseSession(session_);
    if (options_) api_->ReleaseSessionOptions(options_);
    if (environment_) api_->ReleaseEnv(environment_);
  }

  OrtValue* tensor(float* data, const std::vector<std::int64_t>& shape) const {
    std::size_t bytes = sizeof(float);
    for (const std::int64_t n : shape) bytes *= static_cast<std::size_t>(n);
    OrtValue* value = nullptr;
    require_ok(api_->CreateTensorWithDataAsOrtValue(memory_, data, bytes, shape.data(), shape.size(),
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
  }

  void release(OrtValue* const (&values)[2]) const {
    for (OrtValue* value : values)
      if (value) api_->ReleaseValue(value);
  }

  void require_ok(OrtStatus* status) const {
    if (!status) return;
    const std::string text = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    throw Failure(SONORAY_MODEL, "model: " + text);
  }

  const OrtApi* api_ = nullptr;
  OrtEnv* environment_ = nullptr;
  OrtSessionOptions* options_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  OrtAllocator* allocator_ = nullptr;  // the runtime's own
  std::array<char*, 2> names_{};
};

}  // namespace

std::unique_ptr<Session> open_session(const std::string& path, int threads) {
  return std::make_unique<OnnxSession>(path, threads);
}

}  // namespace sonoray::capi
