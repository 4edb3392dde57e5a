// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// centrifuge: channels without history, its JSON protocol, everybody may subscribe.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/centrifugal/centrifuge"

	"pusher.example/rivals/control"
)

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
	})
	// A session's queue is not to be seen, but what leaves it is.
	var queued, written, size atomic.Int64
	node.OnTransportWrite(func(*centrifuge.Client, centrifuge.TransportWriteEvent) bool {
		written.Add(1)
		return true
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	go func() { log.Fatal(http.Serve(listener, mux)) }()

	control.Library{
		Dialect: "centrifuge",
		Port:    listener.Addr().(*net.TCPAddr).Port,
		Limit:   1 << 20, // its default
		Count:   func() (int, int) { return node.Hub().NumClients(), node.Hub().NumSubscriptions() },
		Begin: func() {
			queued.Store(0)
			written.Store(0)
		},
		Unsent: func() int64 { return (queued.Load() - written.Load()) * size.Load() },
		Publish: func(topic string, payload []byte) {
			size.Store(int64(len(payload)))
			queued.Add(int64(node.Hub().NumSubscribers(topic)))
			quoted := append(append([]byte{'"'}, payload...), '"')
			if _, err := node.Publish(topic, quoted); err != nil {
				log.Print(err)
			}
		},
	}.Serve()
}
