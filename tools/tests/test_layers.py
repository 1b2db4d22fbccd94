"""layers must see each kind of forbidden include, and let the others pass."""
import os
import tempfile
import unittest

from load import load_tool

layers = load_tool("layers")


class Layers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def add(self, path, *headers):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write("".join(f'#include "{header}"\n' for header in headers))

    def found(self):
        root = self.folder.name
        return [line.removeprefix(root + "/") for line in layers.check(root)]

    def test_an_empty_tree_is_clean(self):
        self.assertEqual(self.found(), [])

    def test_downward_includes_pass(self):
        self.add("base/buf.h")
        self.add("io/disk.h", "base/buf.h")
        self.add("broker/env.h", "base/buf.h")
        self.add("broker/store.h", "base/buf.h", "broker/env.h")
        self.add("io/loop.c", "io/disk.h", "broker/env.h")
        self.add("store/log.c", "io/disk.h", "broker/store.h", "broker/env.h", "base/buf.h")
        self.add("front/kafka/fetch.c", "broker/store.h", "base/buf.h")
        self.add("main.c", "io/disk.h", "broker/store.h", "base/buf.h")
        self.assertEqual(self.found(), [])

    def test_the_top_includes_all_and_is_included_by_none(self):
        self.add("io/disk.h")
        self.add("serve.h", "io/disk.h")
        self.add("main.c", "serve.h")
        self.add("cli/serve.c", "serve.h")
        self.assertEqual(self.found(), ['cli/serve.c:1: cli may not include "serve.h"'])

    def test_base_includes_nothing_else(self):
        self.add("io/disk.h")
        self.add("base/buf.c", "io/disk.h")
        self.assertEqual(self.found(), ['base/buf.c:1: base may not include "io/disk.h"'])

    def test_broker_is_pure(self):
        self.add("io/clock.h")
        self.add("store/segment.h")
        self.add("broker/group.c", "io/clock.h", "store/segment.h")
        self.assertEqual(len(self.found()), 2)

    def test_store_sees_only_the_brokers_ports(self):
        self.add("broker/store.h")
        self.add("broker/group.h")
        self.add("store/log.c", "broker/store.h", "broker/group.h")
        self.assertEqual(self.found(), ['store/log.c:2: store may not include "broker/group.h"'])

    def test_fronts_do_not_know_each_other_nor_the_store(self):
        self.add("front/http/http_conn.h")
        self.add("store/segment.h")
        self.add("io/loop.h")
        self.add("front/kafka/fetch.c", "front/http/http_conn.h", "store/segment.h", "io/loop.h")
        self.assertEqual(len(self.found()), 3)

    def test_nobody_includes_a_front(self):
        self.add("front/kafka/kafka_conn.h")
        self.add("broker/topic.c", "front/kafka/kafka_conn.h")
        self.add("ops/metrics.c", "front/kafka/kafka_conn.h")
        self.add("cli/topic.c", "front/kafka/kafka_conn.h")
        self.assertEqual(len(self.found()), 3)

    def test_ops_is_a_client_of_the_broker(self):
        self.add("broker/group.h")
        self.add("store/segment.h")
        self.add("ops/metrics.c", "broker/group.h", "store/segment.h")
        self.assertEqual(self.found(), ['ops/metrics.c:2: ops may not include "store/segment.h"'])

    def test_cli_shares_the_codec_of_kafkas_messages(self):
        self.add("front/kafka/messages.h")
        self.add("front/kafka/conn.h")
        self.add("cli/admin.c", "front/kafka/messages.h", "front/kafka/conn.h")
        self.assertEqual(self.found(), ['cli/admin.c:2: cli may not include "front/kafka/conn.h"'])

    def test_a_header_that_is_not_there(self):
        self.add("base/buf.c", "buf.h")
        self.assertIn("write it from the source root", self.found()[0])

    def test_a_folder_without_rules(self):
        self.add("misc/things.c")
        self.assertIn("belongs to no layer", self.found()[0])

    def test_indented_directives_count(self):
        self.add("io/disk.h")
        self.add("base/buf.c")
        with open(os.path.join(self.folder.name, "base/buf.c"), "w", encoding="utf-8") as file:
            file.write('\n#  include "io/disk.h"\n')
        self.assertEqual(self.found(), ['base/buf.c:2: base may not include "io/disk.h"'])


if __name__ == "__main__":
    unittest.main()
