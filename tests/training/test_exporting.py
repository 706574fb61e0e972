"""Export: sizes stay free, the file says what it is, and gives what the module gives."""

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx", reason="the extra 'train' is not installed")

from torch import nn  # noqa: E402

from sonoray import ArgumentError  # noqa: E402
from sonoray.learning import ModelSpec, OnnxModel, TensorSpec  # noqa: E402
from sonoray.training.exporting import check_parity, export_onnx  # noqa: E402

IMAGE = ("batch", "channel", "row", "column")
VIDEO = ("batch", "channel", "frame", "row", "column")


def spec(axes, n_inputs=1):
    names = ["image", "mask"][:n_inputs]
    return ModelSpec("small", tuple(TensorSpec(n, axes) for n in names), (TensorSpec("result", axes),), task="test")


def net_2d():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.InstanceNorm2d(4), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 3, 1, 1)
    )


class Video(nn.Module):
    """Two inputs, gated 3-D convolution, resized in rows and columns."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv3d(2, 8, (3, 4, 4), (1, 2, 2), (1, 1, 1))
        self.up = nn.Conv3d(4, 1, 3, 1, 1)

    def forward(self, image, mask):
        feature, gate = self.down(torch.cat([image, mask], 1)).chunk(2, 1)
        wide = nn.functional.interpolate(nn.functional.elu(feature) * gate.sigmoid(), scale_factor=(1, 2, 2))
        return image * (1 - mask) + mask * self.up(wide).sigmoid()


class Baked(nn.Module):
    """Size turned into a number while tracing."""

    def forward(self, x):
        return x + float(int(x.shape[2]))


def test_sizes_stay_free(tmp_path):
    path = tmp_path / "net.onnx"
    written = export_onnx(net_2d(), torch.rand(1, 1, 16, 24), path, spec(IMAGE), free=("batch", "row", "column"))
    assert written.opset >= 17
    assert OnnxModel(path).spec == written
    shapes = [(1, 1, 16, 24), (3, 1, 32, 16), (2, 1, 64, 128)]
    assert check_parity(net_2d(), path, [torch.rand(s) for s in shapes]) < 1e-5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx"]


def test_videos_with_two_inputs(tmp_path):
    path = tmp_path / "net.onnx"
    examples = [
        (torch.rand(1, 1, t, h, w), (torch.rand(1, 1, t, h, w) > 0.5).float()) for t, h, w in [(4, 16, 24), (9, 32, 16)]
    ]
    export_onnx(Video(), examples[0], path, spec(VIDEO, 2), free=("batch", "frame", "row", "column"))
    assert check_parity(Video(), path, examples) < 1e-5


def test_what_was_baked_in_is_found(tmp_path):
    path = tmp_path / "net.onnx"
    export_onnx(Baked(), torch.rand(1, 1, 8, 8), path, spec(IMAGE), free=("batch", "row", "column"))
    assert check_parity(Baked(), path, [torch.rand(1, 1, 8, 8)]) < 1e-5
    with pytest.raises(ArgumentError, match="difference of 4"):
        check_parity(Baked(), path, [torch.rand(1, 1, 12, 8)])


def test_a_failing_export_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "net.onnx"
    free = ("batch", "row", "column")
    export_onnx(net_2d(), torch.rand(1, 1, 16, 24), path, spec(IMAGE), free=free, checks=[torch.rand(2, 1, 8, 12)])
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=r"/net\.onnx: .*difference of 4"):
        export_onnx(Baked(), torch.rand(1, 1, 8, 8), path, spec(IMAGE), free=free, checks=[torch.rand(1, 1, 12, 8)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("examples", "name", "free", "match"),
    [
        (torch.rand(1, 16, 16), "a.onnx", ("batch",), "expected axes"),
        ((torch.rand(1, 1, 16, 16),) * 2, "a.onnx", ("batch",), "got 2"),
        (torch.rand(1, 1, 16, 16), "a.onnx", ("rows",), "free: expected axes among"),
        (torch.rand(1, 1, 16, 16), "a.pt", ("batch",), "ending in .onnx"),
    ],
)
def test_refusals(tmp_path, examples, name, free, match):
    with pytest.raises(ArgumentError, match=match):
        export_onnx(net_2d(), examples, tmp_path / name, spec(IMAGE), free=free)
    assert not list(tmp_path.iterdir())
