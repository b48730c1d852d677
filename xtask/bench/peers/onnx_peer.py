"""onnxruntime: predictions by a graph of Gemm, Relu and Sigmoid or Softmax."""

import os

import numpy as np
import onnxruntime


def versions():
    return {"onnxruntime": onnxruntime.__version__}


def graph(job):
    from onnx import TensorProto, helper, numpy_helper

    nodes, initial, name = [], [], "x"
    parameters = job.parameters()
    for l, (w, b) in enumerate(parameters):
        initial.append(numpy_helper.from_array(w.astype(np.float32, copy=False), f"W{l}"))
        initial.append(numpy_helper.from_array(b[:, 0].astype(np.float32, copy=False), f"b{l}"))
        nodes.append(helper.make_node("Gemm", [name, f"W{l}", f"b{l}"], [f"z{l}"], transB=1))
        last = l == len(parameters) - 1
        function = ("Sigmoid" if job.classes == 2 else "Softmax") if last else "Relu"
        name = "p" if last else f"a{l}"
        nodes.append(helper.make_node(function, [f"z{l}"], [name]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", job.widths[0]])
    p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["m", job.widths[-1]])
    model = helper.make_model(
        helper.make_graph(nodes, "dense", [x], [p], initial),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    return model.SerializeToString()


class Predictor:
    def __init__(self, job, _):
        path = os.path.join(job.weights, "model.onnx")
        # Written once, outside of what is timed: a whole process finds it there.
        if not os.path.exists(path):
            with open(path + ".part", "wb") as file:
                file.write(graph(job))
            os.replace(path + ".part", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def inputs(self, pixels):
        x = pixels.astype(np.float32)
        x /= np.float32(255)
        return x

    def predict(self, x):
        return self.session.run(["p"], {"x": x})[0][:, -1]
