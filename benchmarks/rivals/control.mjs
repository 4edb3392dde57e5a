// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a server under test needs around a library for Node.js: the control protocol of benchmarks/README.md,
// and publishing with flow control.

import http from "node:http";
import { WebSocketServer } from "ws";

const now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC

function parse(line) {
    const fields = new Map(line.split(" ").slice(1).map((field) => field.split("=")));
    const order = { stamp: fields.get("stamp"), overflow: fields.get("overflow") };
    for (const name of ["topics", "per_turn", "bytes", "turns", "millis", "rate"])
        order[name] = Number(fields.get(name) ?? 0);
    const least = order.stamp === "hex" ? 32 : 16;
    const good = order.topics > 0 && order.per_turn > 0 && order.bytes >= least && (order.turns || order.millis);
    return line.startsWith("publish ") && good ? order : undefined;
}

/// Says when a turn is due, and makes its messages.
class Job {
    constructor(order) {
        this.order = order;
        this.start = now();
        this.turns = 0;
        this.messages = 0;
        this.rest = "x".repeat(Math.max(0, order.bytes - 32));
    }

    due() {
        const { rate } = this.order;
        return rate ? this.start + (BigInt(this.turns) * 1_000_000_000n) / BigInt(rate) : this.start;
    }

    finished() {
        const { turns, millis } = this.order;
        const time = [now(), this.due()].reduce((a, b) => (a > b ? a : b));
        return (turns && this.turns >= turns) || (millis && time - this.start >= BigInt(millis) * 1_000_000n);
    }

    payload(time) {
        const number = this.messages;
        if (this.order.stamp === "hex")
            return number.toString(16).padStart(16, "0") + time.toString(16).padStart(16, "0") + this.rest;
        const bytes = Buffer.alloc(this.order.bytes, "x");
        bytes.writeBigUInt64LE(BigInt(number), 0);
        bytes.writeBigUInt64LE(time, 8);
        return bytes;
    }

    /// What `publish(topic, payload)` returns for each message of the next turn.
    turn(publish) {
        const time = this.order.rate ? this.due() : now();
        const results = [];
        for (let i = 0; i !== this.order.per_turn; ++i, ++this.messages)
            results.push(publish(`t${this.messages % this.order.topics}`, this.payload(time)));
        ++this.turns;
        return results;
    }
}

/// Serves what `setUp(server)` makes on an HTTP server:
///
/// - `publish(topic, payload)`, which may return a promise: the next turn waits for it
/// - `count()`: what is open, or undefined if that cannot be told
/// - `upgrade(request, socket, head, url)`, unless the library answers upgrades itself
/// - `slow(window, bytes)`: something with an event "drain" for which the next turn is to wait, if a session
///   has more than `window` bytes unsent beyond what its socket has
export function serve(dialect, setUp) {
    const options = process.argv.slice(2);
    const option = (name, otherwise) =>
        options.includes(name) ? Number(options[options.indexOf(name) + 1]) : otherwise;
    const window = option("--window", 64 * 1024);
    const sockets = new Set();
    const server = http.createServer((request, response) => response.writeHead(404).end());
    const library = setUp(server);
    const control = new WebSocketServer({ noServer: true });
    let job, waits;

    server.on("connection", (socket) => {
        socket.setNoDelay(true);
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
    });
    server.on("upgrade", (request, socket, head) => {
        const url = new URL(request.url, "http://127.0.0.1");
        if (url.pathname === "/control")
            control.handleUpgrade(request, socket, head, (from) => {
                from.on("message", (line) => command(String(line), from));
            });
        else library.upgrade?.(request, socket, head, url);
    });

    function command(line, from) {
        if (line === "count") {
            const count = library.count?.();
            return from.send(
                count ? `count sessions=${count.sessions} subscriptions=${count.subscriptions}` : "count unknown",
            );
        }
        const order = parse(line);
        if (!order || job) return from.send(job ? "fail busy" : "fail not a command");
        waits = 0;
        job = new Job(order);
        setImmediate(turn, from);
    }

    /// What has more than the window unsent.
    function slow() {
        for (const socket of sockets) if (socket.writableLength > window) return socket;
        return library.slow?.(window, job.order.bytes);
    }

    async function turn(from) {
        if (job.finished() || from.readyState !== from.OPEN) {
            const elapsed = now() - job.start;
            from.send(`done messages=${job.messages} turns=${job.turns} elapsed_ns=${elapsed} waits=${waits}`);
            job = undefined;
            return;
        }
        const early = job.due() - now();
        if (early > 0n) return setTimeout(turn, Math.ceil(Number(early) / 1e6), from);
        const behind = job.order.overflow === "wait" && slow();
        if (behind) {
            ++waits;
            const goOn = () => {
                behind.off("drain", goOn).off("close", goOn);
                setImmediate(turn, from);
            };
            behind.on("drain", goOn).on("close", goOn);
            return;
        }
        const results = job.turn(library.publish);
        if (results[0]?.then) await Promise.all(results);
        setImmediate(turn, from);
    }

    process.on("SIGTERM", () => process.exit(0));
    server.listen({ port: option("--port", 0), host: "127.0.0.1", backlog: 4096 }, () => {
        console.log(`listening 127.0.0.1:${server.address().port}${dialect ? ` dialect=${dialect}` : ""}`);
    });
}
