// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Package control is what a server under test needs around a library for Go: the control protocol of
// benchmarks/README.md, on a port of its own, and publishing with flow control.
package control

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Window is what may be unsent for a session, on average, when the next turn begins.
const Window = 64 * 1024

// Library is what is measured.
type Library struct {
	Dialect string // as the load generator calls it
	Port    int    // of the sessions
	Limit   int64  // bytes unsent at which a session is closed; 0: none
	Count   func() (sessions, subscriptions int)
	// Begin is called before a run.
	Begin func()
	// Unsent says how many bytes of this run the system has not taken yet, of all sessions.
	Unsent func() int64
	// Publish may keep the payload.
	Publish func(topic string, payload []byte)
}

func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		log.Fatal(err)
	}
	return t.Nano()
}

type order struct {
	topics, perTurn, bytes, turns, millis, rate int64
	hex, wait                                   bool
}

func parse(line string) (order, error) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "publish" {
		return order{}, errors.New("not a command")
	}
	o := order{wait: true}
	numbers := map[string]*int64{"topics": &o.topics, "per_turn": &o.perTurn, "bytes": &o.bytes,
		"turns": &o.turns, "millis": &o.millis, "rate": &o.rate}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if into, known := numbers[name]; known {
			number, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return o, err
			}
			*into = number
		}
		o.hex = o.hex || word == "stamp=hex"
		o.wait = o.wait && word != "overflow=drop"
	}
	least := int64(16)
	if o.hex {
		least = 32
	}
	if o.topics < 1 || o.perTurn < 1 || o.bytes < least || o.turns == 0 && o.millis == 0 {
		return o, errors.New("cannot be published")
	}
	return o, nil
}

func (o order) payload(number, time int64) []byte {
	out := make([]byte, o.bytes)
	head := 16
	if o.hex {
		head = copy(out, fmt.Sprintf("%016x%016x", number, time))
	} else {
		binary.LittleEndian.PutUint64(out, uint64(number))
		binary.LittleEndian.PutUint64(out[8:], uint64(time))
	}
	for i := head; i < len(out); i++ {
		out[i] = 'x'
	}
	return out
}

func (l Library) publish(o order) string {
	names := make([]string, o.topics)
	for i := range names {
		names[i] = "t" + strconv.Itoa(i)
	}
	sessions, _ := l.Count()
	window := Window * int64(max(sessions, 1))
	if l.Limit != 0 && 2*o.perTurn*o.bytes > l.Limit {
		window = 0 // two turns are too much for a session
	}
	l.Begin()
	begin := now()
	var messages, turns, waits int64
	for {
		due := begin
		if o.rate != 0 {
			due += turns * 1_000_000_000 / o.rate
		}
		if o.turns != 0 && turns >= o.turns || o.millis != 0 && max(now(), due)-begin >= o.millis*1_000_000 {
			break
		}
		if early := due - now(); early > 0 {
			time.Sleep(time.Duration(early))
		}
		if o.wait && l.Unsent() > window {
			waits++
			for l.Unsent() > window {
				time.Sleep(100 * time.Microsecond)
			}
		}
		stamp := due
		if o.rate == 0 {
			stamp = now()
		}
		for i := int64(0); i != o.perTurn; i++ {
			l.Publish(names[messages%o.topics], o.payload(messages, stamp))
			messages++
		}
		turns++
		runtime.Gosched()
	}
	return fmt.Sprintf("done messages=%d turns=%d elapsed_ns=%d waits=%d", messages, turns, now()-begin, waits)
}

// ServeHTTP is a control connection: as much of WebSocket as short text messages need.
func (l Library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connection, both, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	digest := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(digest[:]))
	for {
		line, err := read(both.Reader)
		if err != nil {
			return
		}
		answer := ""
		if line == "count" {
			sessions, subscriptions := l.Count()
			answer = fmt.Sprintf("count sessions=%d subscriptions=%d", sessions, subscriptions)
		} else if o, err := parse(line); err != nil {
			answer = "fail " + err.Error()
		} else if l.Limit != 0 && o.perTurn*o.bytes >= l.Limit {
			answer = "fail a turn is more than may be unsent for a session"
		} else {
			answer = l.publish(o)
		}
		head := []byte{0x81, byte(len(answer))}
		if len(answer) > 125 {
			head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(answer)))
		}
		if _, err := connection.Write(append(head, answer...)); err != nil {
			return
		}
	}
}

func read(from *bufio.Reader) (string, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(from, head); err != nil {
		return "", err
	}
	size := int(head[1] & 0x7F)
	if size == 126 {
		longer := make([]byte, 2)
		if _, err := io.ReadFull(from, longer); err != nil {
			return "", err
		}
		size = int(binary.BigEndian.Uint16(longer))
	}
	rest := make([]byte, 4+size)
	if _, err := io.ReadFull(from, rest); err != nil {
		return "", err
	}
	if head[0] != 0x81 || head[1]&0x80 == 0 || size == 127 {
		return "", errors.New("neither short nor text")
	}
	for i := range rest[4:] {
		rest[4+i] ^= rest[i%4]
	}
	return string(rest[4:]), nil
}

// Serve does not return.
func (l Library) Serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening %s sessions=%d dialect=%s\n", listener.Addr(), l.Port, l.Dialect)
	log.Fatal(http.Serve(listener, l))
}
