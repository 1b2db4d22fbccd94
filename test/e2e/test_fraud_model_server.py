"""The fraud example's model server: it scores as XGBoost does, and speaks the protocol."""
import http.client
import json
import math
import os
import sys
import threading

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "examples", "fraud"),
                os.path.join(ROOT, "examples", "fraud", "data")]

import features  # noqa: E402
import generate  # noqa: E402
import model_server  # noqa: E402
import quality  # noqa: E402

DIFFERENCE_MAX = 1e-6  # XGBoost adds up in 32 bits


@pytest.fixture(scope="module", name="call")
def server():
    model_server.Handler.model = model_server.Model(quality.MODEL)
    one = model_server.Server(("127.0.0.1", 0), model_server.Handler)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", one.server_port)

    def call(method, path, body=None):
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    yield call
    one.shutdown()


def infer(rows):
    return {"inputs": [{"name": "input-0", "datatype": "FP32", "shape": [len(rows), 15],
                        "data": [value for row in rows for value in row]}]}


def test_scores_are_those_of_xgboost(call):
    found = features.features_of(generate.slice_of(60, 120, 50))
    wanted = quality.scores_of_model(quality.MODEL, found)
    status, answer = call("POST", "/v2/models/fraud/infer", infer(found.tolist()))
    assert status == 200
    output = answer["outputs"][0]
    assert output["shape"] == [len(found)] and output["datatype"] == "FP32"
    assert max(abs(wanted - output["data"])) < DIFFERENCE_MAX


def test_missing_values_go_the_way_of_the_trees(call):
    found = features.features_of(generate.slice_of(20, 40, 20))
    found[::2, 3] = found[1::2, 10] = math.nan
    wanted = quality.scores_of_model(quality.MODEL, found)
    rows = [[None if math.isnan(value) else value for value in row] for row in found.tolist()]
    status, answer = call("POST", "/v2/models/fraud/infer", infer(rows))
    assert status == 200
    assert max(abs(wanted - answer["outputs"][0]["data"])) < DIFFERENCE_MAX


def test_it_says_that_it_is_ready(call):
    assert call("GET", "/v2/health/ready") == (200, {"ready": True})
    status, answer = call("GET", "/v2/models/fraud")
    assert status == 200 and answer["inputs"][0]["shape"] == [-1, 15]


@pytest.mark.parametrize("body", [{}, {"inputs": []}, infer([[1.0] * 14]), [], infer([["x"] * 15])])
def test_what_it_does_not_understand_is_refused(call, body):
    status, answer = call("POST", "/v2/models/fraud/infer", body)
    assert status == 400 and answer["error"]
