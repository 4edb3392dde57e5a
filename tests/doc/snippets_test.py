#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Compiles every block of C++ in README.md and docs/*.md in one call, and does with those that are programs what the
text says.

Usage: snippets_test.py ROOT COMPILER [ARGUMENT...]

A ```cpp block is a program if it has a `main`, else it is declarations. An HTML comment on the line before a block
says what else it is:

    <!-- fragment -->   a ```cpp block of statements, which may use `context` and `broker`; they may `co_await`
    <!-- run -->        a ```sh block: commands for another window while the program before it runs

The ```text block that follows a program or such commands, as the next block, is what they print, with `…` for
anything. A program that is not done by then is stopped as Ctrl-C does. The README's program has a test of its own,
and is only compiled here. Ports are replaced by free ones.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

DEADLINE = 100
LIBRARIES = {"pusher/ext/sqlite_store.hpp": ["-lsqlite3"], "pusher/ext/tls.hpp": ["-lssl", "-lcrypto"]}
FRAME = """
[[maybe_unused]] RESULT fragment([[maybe_unused]] boost::asio::io_context& context,
                                 [[maybe_unused]] pusher::broker<pusher::transport::all>& broker) {
"""
# The programs say nothing of it, so the call that begins to listen tells the port.
MAIN = """
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>

extern "C" int listen(int socket, int backlog) noexcept {
    const auto result = static_cast<int>(syscall(SYS_listen, socket, backlog));
    sockaddr_in at{};
    socklen_t size = sizeof at;
    if (const char* const to = std::getenv("TELL_PORTS");
        to && result == 0 && getsockname(socket, reinterpret_cast<sockaddr*>(&at), &size) == 0)
        dprintf(std::atoi(to), "%d\\n", ntohs(at.sin_port));
    return result;
}

int main(int, char** arguments) {
    const std::string_view name = arguments[1];
CALLS
    return 1;
}
"""


class Block:
    def __init__(self, path, line, mark, language, text):
        self.path, self.line, self.mark, self.language, self.text = path, line, mark, language, text
        self.where = f"{path}:{line}"
        self.is_program = language == "cpp" and "int main() {" in text
        self.ports = []


def blocks_of(root, path):
    text = (root / path).read_text(encoding="utf-8")
    for found in re.finditer(r"^(?:<!-- (\w+) -->\n)?```(\w*)\n(.*?)^```$", text, re.M | re.S):
        yield Block(path, text.count("\n", 0, found.start(3)) + 1, found[1], found[2], found[3])


def parts_of(blocks):
    """Each program with the blocks about it."""
    part = []
    for block in blocks:
        if block.is_program:
            yield part
            part = []
        part.append(block)
    yield part


def replace_ports(part):
    for port in ["8080", "9000"]:
        if part and port in part[0].text:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                part[0].ports.append(s.getsockname()[1])
            for block in part:
                block.text = block.text.replace(port, str(part[0].ports[-1]))


def unit_of(blocks):
    """One source file with all blocks of C++, each in a namespace of its own."""
    includes = {"#include <pusher/broker.hpp>", "#include <pusher/src.hpp>", "#include <boost/asio/awaitable.hpp>",
                "#include <boost/asio/io_context.hpp>", "#include <string_view>"}
    bodies, calls = [], []
    for block in blocks:
        name = re.sub(r"\W", "_", block.where)
        lines = block.text.splitlines()
        includes.update(line.split(" //")[0] for line in lines if line.startswith("#include"))
        code = "\n".join("" if line.startswith("#include") else line for line in lines)
        code = f'#line {block.line} "{block.path}"\n{code}\n'
        if block.mark == "fragment":
            result = "boost::asio::awaitable<void>" if "co_await" in code else "void"
            code = FRAME.replace("RESULT", result) + code + "}\n"
        elif block.is_program:
            code = code.replace("int main() {", "void run() {")
            calls.append(f'    if (name == "{block.where}")\n        return snippet_{name}::run(), 0;')
        bodies.append(f"namespace snippet_{name} {{\n{code}}}\n")
    return "\n".join(sorted(includes)) + "\n" + "\n".join(bodies) + MAIN.replace("CALLS", "\n".join(calls))


def compare(block, got):
    pattern = ".*?".join(re.escape(piece) for piece in block.text.strip().split("…"))
    assert re.fullmatch(pattern, got.strip(), re.S), f"{block.where}: this was printed instead:\n{got}"


def wait_until_listening(ports, told):
    """Ends when the program listens at all of them; the pipe ends with the program."""
    missing = set(ports)
    for line in told:
        missing.discard(int(line))
        if not missing:
            return
    assert not missing, f"a program that should listen at {missing} has ended"


def follow(binary, block, *others):
    """Runs a program, and what the text does with it."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        reading, writing = os.pipe()
        program = subprocess.Popen([binary, block.where], stdout=output, pass_fds=[writing],
                                   env={**os.environ, "TELL_PORTS": str(writing)})
        os.close(writing)
        told = os.fdopen(reading)
        watchdog = threading.Timer(DEADLINE, program.kill)
        watchdog.start()
        try:
            if block.ports:
                wait_until_listening(block.ports, told)
            previous, got, expected = block, "", None
            for other in others:
                if other.mark == "run":
                    got = subprocess.run(["bash", "-eo", "pipefail", "-c", other.text], check=True, text=True,
                                         timeout=DEADLINE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
                elif other.language == "text" and previous is block:
                    expected = other
                elif other.language == "text" and previous.mark == "run":
                    compare(other, got)
                previous = other
            if block.ports:
                program.send_signal(signal.SIGINT)
            status = program.wait(DEADLINE)
            assert status == 0 or status == -signal.SIGINT and block.ports, f"{block.where}: ended with {status}"
            if expected:
                output.seek(0)
                compare(expected, output.read())
        finally:
            watchdog.cancel()
            program.kill()
            program.wait()
            told.close()


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    compiler = sys.argv[2:]
    code, parts = [], []
    for path in [root / "README.md", *sorted(root.glob("docs/*.md"))]:
        blocks = list(blocks_of(root, path.relative_to(root)))
        code += [block for block in blocks if block.language == "cpp"]
        parts += [part for part in parts_of(blocks) if path.name != "README.md" and part and part[0].is_program]
    for part in parts:
        replace_ports(part)
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "snippets.cpp")
        source.write_text(unit_of(code), encoding="utf-8")
        binary = str(pathlib.Path(folder, "snippets"))
        libraries = [library for header, needed in LIBRARIES.items() for library in needed
                     if any(header in block.text for block in code)]
        subprocess.run([*compiler, f"-I{root / 'include'}", str(source), "-o", binary, "-pthread", *libraries],
                       check=True, cwd=root, timeout=DEADLINE)
        for part in parts:
            follow(binary, *part)
    print(f"{len(code)} blocks of C++ compiled, {len(parts)} programs run")


main()
