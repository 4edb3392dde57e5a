// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// `socket.io`: a room for each topic, WebSocket from the start.

import { Server } from "socket.io";
import { serve } from "./control.mjs";

serve("socketio", (server) => {
    const io = new Server(server, { transports: ["websocket"], serveClient: false, destroyUpgrade: false });
    io.on("connection", (socket) => {
        socket.on("subscribe", (topic, acknowledge) => {
            socket.join(topic);
            acknowledge();
        });
    });
    return {
        count() {
            let subscriptions = 0;
            for (const [name, members] of io.of("/").adapter.rooms)
                if (/^t\d+$/.test(name)) subscriptions += members.size; // others are each session's own
            return { sessions: io.engine.clientsCount, subscriptions };
        },
        publish: (topic, payload) => void io.to(topic).emit("m", payload),
        slow(window, bytes) {
            for (const id in io.engine.clients) {
                const connection = io.engine.clients[id];
                if (connection.writeBuffer.length * bytes > window) return connection;
            }
        },
    };
});
