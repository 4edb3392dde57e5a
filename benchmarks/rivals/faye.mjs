// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// `faye`: Bayeux over WebSocket, published with the server's own client in process. Faye keeps a client for a
// while after its connection has ended, so what is open cannot be told.

import faye from "faye";
import { serve } from "./control.mjs";

serve("faye", (server) => {
    const bayeux = new faye.NodeAdapter({ mount: "/bayeux", timeout: 45 });
    bayeux.attach(server);
    const client = bayeux.getClient();
    return { publish: (topic, payload) => client.publish(`/${topic}`, payload) };
});
