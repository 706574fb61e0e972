"""The reader of ONNX files: what it finds, and what it refuses before ONNX Runtime sees it."""

import contextlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, FormatError, ModelSpec, OnnxModel
from sonoray.learning import attach_spec
from sonoray.learning.onnx_file import parse_onnx, read_onnx

from .makers import (
    MATRIX,
    SPEC,
    TensorProto,
    helper,
    model,
    numpy_helper,
    onnx,
    product,
    redirected,
    saved,
    saved_outside,
)

PROPERTY = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def original():
    proto = product()
    attach_spec(proto, SPEC)
    return proto.SerializeToString()


ORIGINAL = original()


def test_metadata_opset_and_weights_agree_with_the_onnx_package(tmp_path):
    proto = product()
    for key, value in {"author": "ä", "empty": ""}.items():
        proto.metadata_props.add(key=key, value=value)
    file = read_onnx(saved_outside(tmp_path, proto))
    assert file.metadata == {"author": "ä", "empty": ""} and file.opset == 18
    np.testing.assert_array_equal(file.weights["w"], MATRIX)


def test_metadata_is_replaced_and_nothing_else(tmp_path):
    file = read_onnx(saved(tmp_path, product()))
    changed = parse_onnx(file.with_metadata({"a": "b" * 300, "c": "ü"}))
    assert changed.metadata == {"a": "b" * 300, "c": "ü"}
    assert changed.digest() == file.digest()
    parsed = onnx.load_from_string(changed.data)
    del parsed.metadata_props[:]
    assert parsed == product()


def test_digest_sees_every_bit_of_the_weights(tmp_path):
    path = saved_outside(tmp_path, product())
    before = read_onnx(path).digest()
    weights = tmp_path / "weights.bin"
    content = bytearray(weights.read_bytes())
    content[17] ^= 1
    weights.write_bytes(content)
    assert read_onnx(path).digest() != before


@pytest.mark.parametrize(
    "location",
    ["/etc/hostname", "../outside.bin", "a/../../outside.bin", "..", "\\\\host\\x", "C:\\x", "",
     "sub/..\\..\\outside.bin", "*/_ORT_MEM_ADDR_/*", ".", "missing.bin", "a\0b"],
)  # fmt: skip
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").mkdir()
    (tmp_path / "outside.bin").write_bytes(MATRIX.tobytes())
    path = saved(folder, redirected(product(), location))
    with pytest.raises(FormatError, match=r"tensor 'w'"):
        OnnxModel(path)


def test_links_out_of_the_folder_are_refused_and_links_inside_are_not(tmp_path):
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(MATRIX.tobytes())
    (folder / "parts" / "real.bin").write_bytes(MATRIX.tobytes())
    (folder / "out.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "away").symlink_to(tmp_path)
    (folder / "in.bin").symlink_to("parts/real.bin")
    for location in ("out.bin", "away/outside.bin"):
        with pytest.raises(FormatError, match="link out of it"):
            read_onnx(saved(folder, redirected(product(), location)))
    for location in ("in.bin", "parts/real.bin"):
        network = OnnxModel(saved(folder, redirected(product(), location)))
        np.testing.assert_allclose(network(np.eye(4, dtype="f4")), MATRIX)


def test_pipes_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for location in ("pipe", "folder"):
        with pytest.raises(FormatError, match="regular file|directory"):
            read_onnx(saved(tmp_path, redirected(product(), location)))
    with pytest.raises(FormatError, match="regular file"):
        read_onnx(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("offset", "length"),
    [("4", None), ("-4", None), ("0", "60"), ("0", "68"), ("9" * 30, None), ("٣", None), ("1e1", None), ("", None)],
)
def test_values_beyond_their_file_are_refused(tmp_path, offset, length):
    (tmp_path / "w.bin").write_bytes(MATRIX.tobytes())
    with pytest.raises(FormatError, match=r"tensor 'w'"):
        read_onnx(saved(tmp_path, redirected(product(), "w.bin", offset, length)))


@pytest.mark.parametrize("dims", [[-1, 4], [1 << 40, 1 << 40], [1 << 62, 4]])
def test_huge_and_negative_shapes_are_refused(tmp_path, dims):
    (tmp_path / "w.bin").write_bytes(MATRIX.tobytes())
    proto = redirected(product(), "w.bin")
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend(dims)
    with pytest.raises(FormatError, match=r"tensor 'w'"):
        read_onnx(saved(tmp_path, proto))


def hidden(where):
    """A model with a tensor of another file in a place that is easily forgotten."""
    proto = redirected(product(), "/etc/hostname")
    tensor = proto.graph.initializer[0]
    inner = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "inner", [], [], [tensor])
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    sparse = onnx.SparseTensorProto(values=tensor, dims=[4])
    result = product()
    node = result.graph.node.add(op_type="If", output=["z"])
    if where == "subgraph":
        node.attribute.append(helper.make_attribute("then_branch", inner))
    elif where == "attribute":
        result.graph.node.append(constant)
    elif where == "list":
        node.attribute.add(name="t", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    elif where == "graphs":
        node.attribute.add(name="t", type=onnx.AttributeProto.GRAPHS).graphs.append(inner)
    elif where == "sparse":
        result.graph.sparse_initializer.append(sparse)
    elif where == "sparse attribute":
        node.attribute.add(name="t", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(sparse)
    elif where == "function":
        result.functions.add(name="f", domain="d").node.append(constant)
    elif where == "training":
        result.training_info.add().algorithm.CopyFrom(inner)
    return result


@pytest.mark.parametrize(
    "where",
    ["subgraph", "attribute", "list", "graphs", "sparse", "sparse attribute", "function", "training"],
)
def test_no_tensor_is_overlooked(where):
    with pytest.raises(FormatError, match="weights of the main graph"):
        parse_onnx(hidden(where).SerializeToString(), folder=Path())


def test_nesting_is_bounded():
    """Deeper than the onnx package writes: graph, node, attribute, graph, ..."""
    content = b""
    for _ in range(40):
        for field in (6, 5, 1):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            size, rest = bytearray(), len(content)
            while rest >= 0x80:
                size.append(rest & 0x7F | 0x80)
                rest >>= 7
            content = bytes([field << 3 | 2, *size, rest]) + content
    size = bytes([len(content) & 0x7F | 0x80, len(content) >> 7])
    opset = b"\x42\x02\x10\x12"
    with pytest.raises(FormatError, match="deep"):
        parse_onnx(b"\x3a" + size + content + opset)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, this is no model", b"\x89PNG\r\n\x1a\n" * 9, b"\0" * 64, b"\xff" * 64, b"\x08\x09", b"\x3a\x00",
     b"\x3b\x3c", b"PK\x03\x04" + b"x" * 40, b"\x0a\xff\xff\xff\xff\x0f"],
)  # fmt: skip
def test_other_files_are_no_models(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="expected"):
        OnnxModel(path)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(FormatError, match=str(path)):
            OnnxModel(path)


def test_repeated_metadata_is_refused():
    proto = product()
    for _ in range(2):
        proto.metadata_props.add(key="a", value="b")
    with pytest.raises(FormatError, match="twice"):
        parse_onnx(proto.SerializeToString())


def parsed_within_bounds(data):
    """Parse; FormatError is fine, anything else is not. Returns the file, if it could be parsed."""
    tracemalloc.start()
    try:
        return parse_onnx(data)
    except FormatError:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 << 20


@PROPERTY
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_files(share):
    cut = ORIGINAL[: int(share * len(ORIGINAL))]
    file = parsed_within_bounds(cut)
    if file is not None and file.metadata:  # cut between two entries
        with pytest.raises(FormatError, match="cut off"):
            ModelSpec.from_metadata(file.metadata)


@PROPERTY
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_mutated_files(flips, tmp_path_factory):
    data = bytearray(ORIGINAL)
    for share, value in flips:
        data[int(share * len(data))] = value
    file = parsed_within_bounds(bytes(data))
    if file is None or bytes(data) == ORIGINAL or "sonoray" not in file.metadata:
        return
    # What can still be parsed and has its spec is seen to be changed.
    path = tmp_path_factory.mktemp("mutated") / "model.onnx"
    path.write_bytes(data)
    try:
        network = OnnxModel(path)
    except FormatError:
        return
    assert network.spec.digest == network.digest == parse_onnx(ORIGINAL).metadata["sonoray.digest"]


@settings(PROPERTY, derandomize=True)
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_files_without_a_digest(flips, tmp_path_factory):
    """Nothing says that they were changed: ONNX Runtime may still take them, or refuse them, in our words."""
    data = bytearray(product().SerializeToString())
    for share, value in flips:
        data[int(share * len(data))] = value
    path = tmp_path_factory.mktemp("mutated") / "model.onnx"
    path.write_bytes(data)
    with contextlib.suppress(FormatError, ArgumentError):
        OnnxModel(path, threads=1)(np.ones((2, 4), "f4"))


def test_names_that_are_no_text(tmp_path, capfd):
    data = product().SerializeToString().replace(b"\x01n", b"\x01\xff")
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(FormatError, match="UTF-8"):
        OnnxModel(tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")


@PROPERTY
@given(st.binary(max_size=400))
def test_any_bytes(data):
    parsed_within_bounds(data)


@PROPERTY
@given(number=st.integers(1, 1 << 28), dims=st.lists(st.integers(0, 7), min_size=1, max_size=3), packed=st.booleans())
def test_unknown_fields_are_passed_over(number, dims, packed):
    """Reads what the onnx package wrote, with fields that no version knows between."""
    weight = np.zeros(dims, "f4")
    proto = model([helper.make_node("Identity", ["w"], ["y"])], [], [("y", dims)], [("w", weight)])
    data = proto.SerializeToString()
    if number > 40:
        key, extra = number << 3, b""
        while key >= 0x80:
            extra += bytes([key & 0x7F | 0x80])
            key >>= 7
        data = extra + bytes([key]) + (b"\x05" if not packed else b"\xff\x01") + data
    assert parse_onnx(data).opset == 18


def test_tensor_types(tmp_path):
    for dtype in ("f4", "f8", "f2", "i1", "i4", "i8", "u1", "?"):
        value = np.ones((2, 3), dtype)
        node = helper.make_node("Identity", ["w"], ["y"])
        kind = numpy_helper.from_array(value).data_type
        proto = model([node], [], [("y", [2, 3], kind)], [("w", value)])
        network = OnnxModel(saved_outside(tmp_path, proto, f"{np.dtype(dtype).name}.bin"))
        np.testing.assert_array_equal(network(), value)


def test_types_that_numpy_lacks_are_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(64))
    proto = redirected(product(), "w.bin")
    proto.graph.initializer[0].data_type = TensorProto.STRING
    with pytest.raises(FormatError, match="NumPy has"):
        read_onnx(saved(tmp_path, proto))
