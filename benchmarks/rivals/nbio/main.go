// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// nbio: its own event loop, a list of connections for each topic, and one WriteMessage for each of them and
// message. Speaks the raw dialect of a server under test.
package main

import (
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"pusher.example/rivals/control"
)

type hub struct {
	mutex                   sync.Mutex
	topics                  map[string][]*websocket.Conn
	sessions, subscriptions int
	queued, written         atomic.Int64
}

func (h *hub) opened(c *websocket.Conn, names []string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.sessions++
	h.subscriptions += len(names)
	for _, name := range names {
		h.topics[name] = append(h.topics[name], c)
	}
}

func (h *hub) closed(c *websocket.Conn, names []string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.sessions--
	h.subscriptions -= len(names)
	for _, name := range names {
		list := h.topics[name]
		for i := range list {
			if list[i] == c {
				list[i] = list[len(list)-1]
				h.topics[name] = list[:len(list)-1]
				break
			}
		}
	}
}

func (h *hub) publish(topic string, payload []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	head := 2
	if len(payload) > 125 {
		head = 4
	}
	if len(payload) > 0xFFFF {
		head = 10
	}
	for _, c := range h.topics[topic] {
		h.queued.Add(int64(head + len(payload)))
		c.WriteMessage(websocket.BinaryMessage, payload) // an error ends the connection, which is told
	}
}

func main() {
	logging.SetLevel(logging.LevelError)
	h := &hub{topics: map[string][]*websocket.Conn{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/raw", func(w http.ResponseWriter, r *http.Request) {
		names := r.URL.Query()["topic"]
		upgrader := websocket.NewUpgrader()
		upgrader.OnClose(func(c *websocket.Conn, _ error) { h.closed(c, names) })
		upgrader.OnOpen(func(c *websocket.Conn) { h.opened(c, names) })
		if _, err := upgrader.Upgrade(w, r, nil); err != nil {
			log.Print(err)
		}
	})
	port := 0
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{"127.0.0.1:0"},
		Handler: mux,
		MaxLoad: 1_000_000,
		Listen: func(network, address string) (net.Listener, error) {
			listener, err := net.Listen(network, address)
			if err == nil {
				port = listener.Addr().(*net.TCPAddr).Port
			}
			return listener, err
		},
	})
	engine.OnWrittenSize(func(_ *nbio.Conn, _ []byte, n int) { h.written.Add(int64(n)) })
	if err := engine.Start(); err != nil {
		log.Fatal(err)
	}
	control.Library{
		Dialect: "raw",
		Port:    port,
		Count: func() (int, int) {
			h.mutex.Lock()
			defer h.mutex.Unlock()
			return h.sessions, h.subscriptions
		},
		Begin: func() {
			h.queued.Store(0)
			h.written.Store(0)
		},
		Unsent:  func() int64 { return h.queued.Load() - h.written.Load() },
		Publish: h.publish,
	}.Serve()
}
