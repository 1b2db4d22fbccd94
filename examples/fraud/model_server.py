"""A model server as the pipeline needs it: Open Inference Protocol v2 over HTTP, in plain Python.

    model_server.py MODEL.json PORT

Stands for KServe or Triton in production. Scores with XGBoost's trees, read from its JSON: each
becomes a Python expression, so that a row costs less than a microsecond a tree. Answers
GET /v2/health/live, GET /v2/health/ready, GET /v2/models/NAME and POST /v2/models/NAME/infer.
"""
import json
import math
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def singles(values):
    """Numbers as the model knows them: of 32 bits."""
    form = f"{len(values)}f"
    return struct.unpack(form, struct.pack(form, *values))


def expression(tree, node=0):
    """`left if x[i] < c else right`, as deep as the tree; what is missing goes its default way."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    number = singles([tree["split_conditions"][node]])[0]
    if left == -1:
        return repr(number)
    at = f"x[{tree['split_indices'][node]}]"
    test = f"not {at} >= {number!r}" if tree["default_left"][node] else f"{at} < {number!r}"
    return f"({expression(tree, left)} if {test} else {expression(tree, right)})"


class Model:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            learner = json.load(file)["learner"]
        text = learner["learner_model_param"]["base_score"].strip("[]")
        base = float(text)
        self.base = math.log(base / (1 - base))
        self.features = int(learner["learner_model_param"]["num_feature"])
        self.trees = [eval(f"lambda x: {expression(tree)}")  # comparisons of numbers
                      for tree in learner["gradient_booster"]["model"]["trees"]]

    def score(self, row):
        row = singles(row)
        return 1 / (1 + math.exp(-self.base - sum(tree(row) for tree in self.trees)))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes
    model = None

    def answer(self, status, what):
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name = self.path.split("/")[-1]
        if self.path.startswith("/v2/health/"):
            self.answer(200, {name: True})
        else:
            self.answer(200, {"name": name, "platform": "python", "versions": ["1"],
                              "inputs": [{"name": "input-0", "datatype": "FP32",
                                          "shape": [-1, self.model.features]}],
                              "outputs": [{"name": "output-0", "datatype": "FP32",
                                           "shape": [-1]}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            tensor = json.loads(body)["inputs"][0]
            rows, width = tensor["shape"]
            data = [math.nan if value is None else value for value in flat(tensor["data"])]
            if width != self.model.features or len(data) != rows * width:
                raise ValueError(f"shape {tensor['shape']}, {len(data)} numbers")
            scores = [self.model.score(data[at:at + width]) for at in range(0, len(data), width)]
        except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
            self.answer(400, {"error": repr(error)})
            return
        self.answer(200, {"model_name": self.path.split("/")[-2], "model_version": "1",
                          "outputs": [{"name": "output-0", "datatype": "FP32", "shape": [rows],
                                       "data": scores}]})

    def log_message(self, *_):
        pass


def flat(data):
    """Rows may be arrays of their own."""
    return [value for row in data for value in row] if data and isinstance(data[0], list) else data


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def main():
    Handler.model = Model(sys.argv[1])
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()


if __name__ == "__main__":
    main()
