"""onnxruntime: predictions by a graph of Conv, MaxPool, Gemm, Relu and Sigmoid or Softmax."""

import os

import numpy as np
import onnxruntime


CONVOLUTIONS = True


def versions():
    return {"onnxruntime": onnxruntime.__version__}


def graph(job):
    from onnx import TensorProto, helper, numpy_helper

    nodes, initial, name = [], [], "x"
    for l, (w, b) in enumerate(job.windows()):
        w = np.ascontiguousarray(w.transpose(0, 3, 1, 2), np.float32)
        initial.append(numpy_helper.from_array(w, f"C{l}"))
        initial.append(numpy_helper.from_array(b.astype(np.float32), f"c{l}"))
        nodes.append(helper.make_node("Conv", [name, f"C{l}", f"c{l}"], [f"y{l}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"y{l}"], [f"r{l}"]))
        name = f"m{l}"
        nodes.append(helper.make_node("MaxPool", [f"r{l}"], [name], kernel_shape=[2, 2], strides=[2, 2]))
    shape = ["m", job.widths[0]]
    if job.convolutions:
        nodes.append(helper.make_node("Flatten", [name], ["flat"]))
        name, shape = "flat", ["m", job.shape[2], job.shape[0], job.shape[1]]
    parameters = job.dense(channels_first=True)
    for l, (w, b) in enumerate(parameters):
        initial.append(numpy_helper.from_array(w.astype(np.float32, copy=False), f"W{l}"))
        initial.append(numpy_helper.from_array(b[:, 0].astype(np.float32, copy=False), f"b{l}"))
        nodes.append(helper.make_node("Gemm", [name, f"W{l}", f"b{l}"], [f"z{l}"], transB=1))
        last = l == len(parameters) - 1
        function = ("Sigmoid" if job.classes == 2 else "Softmax") if last else "Relu"
        name = "p" if last else f"a{l}"
        nodes.append(helper.make_node(function, [f"z{l}"], [name]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["m", job.widths[-1]])
    model = helper.make_model(
        helper.make_graph(nodes, "network", [x], [p], initial),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    return model.SerializeToString()


class Predictor:
    def __init__(self, job, _):
        self.job = job
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
        if self.job.convolutions:
            pixels = pixels.reshape(-1, *self.job.shape).transpose(0, 3, 1, 2)
        x = pixels.astype(np.float32, order="C")
        x /= np.float32(255)
        return x

    def predict(self, x):
        return self.session.run(["p"], {"x": x})[0][:, -1]
