"""Models from images to images, checked for what they were made for."""

from typing import Any

from ..errors import FormatError
from ..learning.models import ModelSpec
from ..learning.runtime import OnnxModel


def image_model(model: Any, task: str, device: str) -> tuple[OnnxModel, ModelSpec]:
    """Open a model, or take one that is open, and refuse what was not made for a task or takes no images.

    Parameters
    ----------
    model : OnnxModel or path
    task : str
        That its `ModelSpec` must name.
    device : str
        Where a model given as path runs.

    Returns
    -------
    model : OnnxModel
        From (batch, channel, row, column) to one output.
    spec : ModelSpec

    Raises
    ------
    FormatError
        Another task, none, other axes, or no model.
    DeviceError, MissingExtraError
        See `OnnxModel`.
    """
    opened = model if isinstance(model, OnnxModel) else OnnxModel(model, device=device)
    spec = opened.spec
    if spec is None or spec.task != task:
        got = "none" if spec is None else repr(spec.task)
        raise FormatError(f"{opened.path}: expected a model for {task!r}, its metadata names {got}")
    if len(opened.inputs) != 1 or len(opened.inputs[0].shape) != 4 or len(opened.outputs) != 1:
        raise FormatError(f"{opened.path}: expected (batch, channel, row, column) in and out, got {opened.inputs}")
    return opened, spec
