// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// `ws`: a set of connections for each topic, and one `send` for each of them and message, as its
// documentation shows. Speaks both dialects of a server under test.

import { WebSocketServer } from "ws";
import { serve } from "./control.mjs";

serve("", () => {
    const accept = new WebSocketServer({ noServer: true });
    const topics = new Map();
    let published = 0;

    const subscribersOf = (name) => {
        if (!topics.has(name)) topics.set(name, { raw: new Set(), native: new Set() });
        return topics.get(name);
    };

    const push = (topic, payload) =>
        `{"topic":"${topic}","type":"","payload":"${payload}","meta":{"receive_time":` +
        `"2026-01-01T00:00:00.000000000Z","message_id":"5f3a9c1e7b2d4680-${published}"}}`;

    return {
        count() {
            let subscriptions = 0;
            for (const { raw, native } of topics.values()) subscriptions += raw.size + native.size;
            return { sessions: accept.clients.size, subscriptions };
        },

        upgrade(request, socket, head, url) {
            accept.handleUpgrade(request, socket, head, (client) => {
                const mine = new Set();
                const subscribe = (name, kind) => {
                    const subscribers = subscribersOf(name)[kind];
                    subscribers.add(client);
                    mine.add(subscribers);
                };
                client.on("error", () => {});
                client.on("close", () => mine.forEach((subscribers) => subscribers.delete(client)));
                if (url.pathname === "/raw") {
                    for (const name of url.searchParams.getAll("topic")) subscribe(name, "raw");
                    return;
                }
                client.on("message", (text) => {
                    subscribe(JSON.parse(text).params.topic, "native");
                    client.send('{"request_id":"","action":"subscribe","status":"ok","error_message":""}');
                });
            });
        },

        publish(topic, payload) {
            ++published;
            const subscribers = topics.get(topic);
            if (!subscribers) return;
            for (const client of subscribers.raw) client.send(payload, { binary: true });
            if (subscribers.native.size === 0) return;
            const text = Buffer.from(push(topic, payload));
            for (const client of subscribers.native) client.send(text, { binary: false });
        },
    };
});
