"""The guides of docs/: their first sessions do what they say."""

import pytest

import broker
import pages

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]


@pytest.mark.parametrize("name, least", [("from-kafka", 6), ("from-eventgrid", 5),
                                         ("from-cloudevents", 4), ("from-functions", 4),
                                         ("http", 8), ("models", 2)])
def test_first_session(tmp_path, name, least):
    pages.check(broker.REPOSITORY / "docs" / f"{name}.md", tmp_path, least)
