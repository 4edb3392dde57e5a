# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""One measurement: a server, the generator beside it, and what that says."""
import json
import shlex
import subprocess

from suite.servers import Server, cores, pinned

TIMEOUT = 240  # seconds; the generator gives up much earlier where nothing comes
REFUSED = "publish was answered with: fail "


def measure(load, command, work, arguments):
    """The generator's JSON object, or one with the reason why there is none: `failed`, or `refused`."""
    server_core, load_core = cores()
    try:
        with Server(shlex.split(command) + shlex.split(work.server), server_core) as server:
            dialect = work.dialect or server.dialect or arguments.dialect
            call = [load, "--port", server.port(dialect), "--control-port", server.control,
                    "--server-pid", server.pids, "--dialect", dialect, *shlex.split(work.load)]
            if "--mode" not in work.load and "--turns" not in work.load:
                call += ["--millis", str(arguments.millis)]
            done = subprocess.run(call, capture_output=True, text=True, timeout=TIMEOUT,
                                  preexec_fn=pinned(load_core))
            errors = done.stderr.strip()
            if server.process.poll() is not None:
                errors += f"; the server ended: {server.last_words()}"
    except (RuntimeError, OSError, ValueError) as error:  # a command that cannot be read, among others
        return {"failed": str(error)}
    except subprocess.TimeoutExpired:
        return {"failed": "it took too long"}
    lines = done.stdout.splitlines()
    try:
        result = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {"failed": f"the generator said {lines[-1]!r}"}
    if REFUSED in errors:
        # More than it takes with its default limits, which is no fault.
        return {"refused": errors.split(REFUSED)[1]}
    if done.returncode != 0:
        result["failed"] = errors or f"exit status {done.returncode}"
    return result
