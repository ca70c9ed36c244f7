from __future__ import annotations

import pytest
from server import HubServer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on loopback, with caches of its own, no token and a short patience."""
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("GPUX_HOME", str(tmp_path / "gpux"))
        monkeypatch.setenv("GPUX_NETWORK_TIMEOUT", "1")
        for name in (
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "GPUX_OFFLINE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "http_proxy",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def graph_with_data():
    """Makes the files of a graph whose weights lie in another one."""
    import onnx

    def make(path: str, location: str) -> dict[str, bytes]:
        tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        spec = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in ("x", "y")]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", spec[:1], spec[1:], [tensor]
        )
        data = {f"{path.rpartition('/')[0]}/{location}": b"\0" * 16} if ".." not in location else {}
        return {path: onnx.helper.make_model(graph).SerializeToString(), **data}

    return make
