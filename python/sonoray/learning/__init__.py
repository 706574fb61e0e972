"""Networks: what they expect (`ModelSpec`) and how they run (`OnnxModel`)."""
