"""Networks: what they expect (`ModelSpec`), channel data that fits them, and how they run (`OnnxModel`)."""

from .fitting import fit_channel_data
from .models import Difference, ModelSpec, TensorSpec, attach_spec, write_spec
from .runtime import OnnxModel

__all__ = ["Difference", "ModelSpec", "OnnxModel", "TensorSpec", "attach_spec", "fit_channel_data", "write_spec"]
