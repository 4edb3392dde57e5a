// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Publish and subscribe inside one program: to one user, to a group, and to everybody.
//
// Each user is a subscriber with three topics: one of its own, one that it shares with others, and `*`, which
// is a topic like any other that everybody here happens to subscribe to. Try it: it needs no network and ends
// at once.
//
//   1_hello

#include <pusher/broker.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <string>

namespace {

/// Prints what reaches a user.
auto printer(int user) {
    return [user](const pusher::message& m) {
        std::cout << "user " << user << " accepted: " << m.payload() << '\n';
    };
}

} // namespace

int main() {
    boost::asio::io_context io;
    pusher::broker<> broker(io);

    auto user_100 = broker.make_subscriber(printer(100));
    user_100.subscribe("userid_100");
    user_100.subscribe("topic_a");
    user_100.subscribe("*");

    auto user_101 = broker.make_subscriber(printer(101));
    user_101.subscribe("userid_101");
    user_101.subscribe("topic_a");
    user_101.subscribe("*");

    auto user_102 = broker.make_subscriber(printer(102));
    user_102.subscribe("userid_102");
    user_102.subscribe("topic_b");
    user_102.subscribe("*");

    // Handlers are called before publish returns, so that nothing here has to wait for the event loop.
    broker.publish("userid_100", "a message to user 100 only");
    broker.publish("topic_a", "a message to topic a");
    broker.publish("*", "a message to all uses");
}
