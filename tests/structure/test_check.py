#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Every rule of check.py finds its breach, and leaves what is in order alone."""
import pathlib
import tempfile
import unittest

import check

HEAD = f"// {check.COPYRIGHT}\n"


class CheckTest(unittest.TestCase):
    def breaches(self, files):
        """The breaches in a tree of `files` (path: text after the copyright), with a right umbrella if none is given."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(HEAD + text, encoding="utf-8")
            if "include/pusher.hpp" not in files:
                (root / "include").mkdir(exist_ok=True)
                (root / "include/pusher.hpp").write_text(check.Tree(root).umbrella(), encoding="utf-8")
            return check.Tree(root).check()

    def header(self, path, text, others=()):
        files = {"include/" + other: "#pragma once\n" for other in others}
        files["include/" + path] = "#pragma once\n" + text
        return self.breaches(files)

    def assert_breach(self, breaches, words):
        self.assertEqual(len(breaches), 1, breaches)
        self.assertIn(words, breaches[0])

    def test_good_tree(self):
        self.assertEqual(
            self.header(
                "pusher/broker.hpp",
                "#include <pusher/topic.hpp>\n#include <boost/asio/post.hpp>\n#include <string>\n",
                ["pusher/topic.hpp"]),
            [])

    def test_higher_floor(self):
        self.assert_breach(
            self.header("pusher/detail/run.hpp", "#include <pusher/broker.hpp>\n", ["pusher/broker.hpp"]),
            "floor 2 may not include <pusher/broker.hpp> of floor 6")

    def test_unlisted_header_is_a_value(self):
        self.assert_breach(
            self.header("pusher/new_name.hpp", "#include <boost/asio/post.hpp>\n"), "Asio and Beast begin at floor 5")

    def test_asio_in_a_dialect(self):
        self.assert_breach(
            self.header("pusher/dialect/raw.hpp", "#include <boost/beast/http.hpp>\n"), "begin at floor 5")
        self.assertEqual(
            self.header("pusher/dialect/raw.hpp", "#include <boost/beast/zlib/inflate_stream.hpp>\n"), [])

    def test_json_in_the_core(self):
        self.assert_breach(self.header("pusher/detail/run.hpp", "#include <boost/json.hpp>\n"), "JSON begins")

    def test_thread_in_the_core(self):
        self.assert_breach(self.header("pusher/detail/run.hpp", "#include <mutex>\n"), "threads begin")

    def test_clock_in_the_core(self):
        use = "inline auto f() { return std::chrono::steady_clock::now(); }\n"
        self.assert_breach(self.header("pusher/detail/run.hpp", use), "reads a clock")
        self.assertEqual(self.header("pusher/detail/run.hpp", "// not steady_clock::now()\n"), [])
        self.assertEqual(self.header("pusher/transport/tcp.hpp", use), [])

    def test_missing_header(self):
        self.assert_breach(self.header("pusher/topic.hpp", "#include <pusher/gone.hpp>\n"), "there is no")

    def test_foreign_include(self):
        self.assert_breach(self.header("pusher/transport/tcp.hpp", "#include <openssl/ssl.h>\n"), "only include/pusher/ext/")
        self.assert_breach(self.header("pusher/transport/tcp.hpp", "#include <boost/asio/ssl.hpp>\n"), "only include/pusher/ext/")
        self.assert_breach(self.header("pusher/transport/tcp.hpp", "#include <unistd.h>\n"), "only include/pusher/ext/")
        self.assertEqual(self.header("pusher/ext/tls.hpp", "#include <openssl/ssl.h>\n"), [])
        self.assertEqual(self.header(check.POSIX[0], "#include <unistd.h>\n"), [])

    def test_boost_before_the_version(self):
        others = ["pusher/version.hpp", "pusher/topic.hpp"]
        use = "#include <boost/system/error_code.hpp>\n"
        self.assert_breach(self.header("pusher/error.hpp", use, others), "<pusher/version.hpp> goes before")
        self.assert_breach(
            self.header("pusher/error.hpp", "#include <pusher/topic.hpp>\n" + use, others), "goes before")
        self.assertEqual(self.header("pusher/error.hpp", "#include <pusher/version.hpp>\n" + use, others), [])
        self.assertEqual(self.header("pusher/version.hpp", "#include <boost/version.hpp>\n"), [])

    def test_include_order(self):
        self.assert_breach(
            self.header("pusher/transport/tcp.hpp", "#include <string>\n#include <boost/asio/post.hpp>\n"), "order")

    def test_pragma_once(self):
        self.assert_breach(self.breaches({"include/pusher/topic.hpp": "\n"}), "#pragma once")

    def test_umbrella(self):
        self.assert_breach(
            self.breaches({"include/pusher.hpp": "#pragma once\n", "include/pusher/topic.hpp": "#pragma once\n"}),
            "does not include every")

    def test_umbrella_is_boost_only(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in ["topic", "ext/tls", "detail/run", "src", "transport/tcp"]:
                file = pathlib.Path(folder, f"include/pusher/{path}.hpp")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            text = check.Tree(folder).umbrella()
        self.assertEqual(text.count("#include"), 2)
        self.assertIn("<pusher/topic.hpp>\n#include <pusher/transport/tcp.hpp>", text)

    def test_unit_test_with_asio(self):
        self.assert_breach(
            self.breaches({
                "tests/unit/a_test.cpp": '#include "helper.hpp"\nCHECK(true);\n',
                "tests/support/helper.hpp": "#include <pusher/broker.hpp>\n",
                "include/pusher/broker.hpp": "#pragma once\n#include <boost/asio.hpp>\n",
            }),
            "a unit test may not need Asio: include/pusher/broker.hpp:3")

    def test_words(self):
        self.assert_breach(self.breaches({"README.md": "TO" + "DO: write\n"}), "unfinished work")
        self.assert_breach(self.breaches({"x.txt": "https://registry.np" + "mjs.org/ws\n"}), "packages come by name")

    def test_copyright(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "a.py").touch()
            tree = check.Tree(folder)
            tree.check_text("a.py")
        self.assert_breach(tree.breaches, "copyright")

    def test_sleep(self):
        self.assert_breach(
            self.breaches({"tests/transport/a.cpp": "CHECK(1); std::this_thread::sleep_for(1s);\n"}), "not for time")

    def test_unknown_room(self):
        self.assert_breach(self.breaches({"tests/unti/a.cpp": "CHECK(1);\n"}), "nothing builds this")

    def test_test_without_assertion(self):
        self.assert_breach(self.breaches({"tests/unit/a.cpp": "TEST_CASE() {}\n"}), "checks nothing")


if __name__ == "__main__":
    unittest.main()
