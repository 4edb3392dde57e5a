// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/compact_list.hpp>
#include <pusher/detail/rare_list.hpp>

#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

using pusher::detail::compact_list;
using pusher::detail::rare_list;

namespace {

struct small {
    std::uint32_t a;
    std::uint32_t b;
};

struct large {
    std::uint64_t a;
    std::uint64_t b;
    std::uint32_t c;
};

static_assert(sizeof(compact_list<small>) == 16);
static_assert(sizeof(compact_list<large>) == 16);
static_assert(sizeof(rare_list<large>) == sizeof(void*));

/// What is beside a list.
struct owner {
    std::unique_ptr<std::uint32_t> number;

    [[nodiscard]] bool empty() const noexcept { return !number; }
};
using list_with_owner = rare_list<large, owner>;
static_assert(sizeof(list_with_owner) == sizeof(void*));

small make(std::uint32_t i, small*) { return {i, ~i}; }
large make(std::uint32_t i, large*) { return {i, ~std::uint64_t{i}, i + 1}; }

bool is(const small& s, std::uint32_t i) { return s.a == i && s.b == ~i; }
bool is(const large& l, std::uint32_t i) { return l.a == i && l.b == ~std::uint64_t{i} && l.c == i + 1; }

template <class List>
bool holds(const List& list, const std::vector<std::uint32_t>& expected) {
    if (list.size() != expected.size() || list.empty() != expected.empty())
        return false;
    std::size_t i = 0;
    for (const auto& e : list)
        if (!is(e, expected[i++]))
            return false;
    return i == expected.size();
}

/// Up to a number of elements, one by one, and back to none.
template <class List, class T>
void grow_and_shrink() {
    List list;
    std::vector<std::uint32_t> expected;
    REQUIRE(holds(list, expected));
    for (std::uint32_t i = 0; i != 200; ++i) {
        list.push_back(make(i, static_cast<T*>(nullptr)));
        expected.push_back(i);
        REQUIRE(holds(list, expected));
        REQUIRE(is(list.back(), i));
    }
    // An element of the list's own, also when there is no room.
    for (std::uint32_t i = 0; i != 200; ++i) {
        list.push_back(list[i]);
        expected.push_back(i);
    }
    REQUIRE(holds(list, expected));
    while (!expected.empty()) {
        list[0] = list.back();
        expected[0] = expected.back();
        list.pop_back();
        expected.pop_back();
        REQUIRE(holds(list, expected));
    }
    list.push_back(make(7, static_cast<T*>(nullptr)));
    CHECK(holds(list, {7}));
}

} // namespace

TEST_CASE("compact_list: elements come, go and stay what they are") {
    grow_and_shrink<compact_list<small>, small>();
    grow_and_shrink<compact_list<large>, large>();
}

TEST_CASE("compact_list: gives back what is not needed") {
    compact_list<small> list;
    CHECK(list.capacity() == 1); // in itself
    for (std::uint32_t i = 0; i != 100; ++i)
        list.push_back({i, ~i});
    while (list.size() != 10)
        list.pop_back();
    list.shrink_to_fit();
    CHECK(list.capacity() == 10);
    while (list.size() != 1)
        list.pop_back();
    list.shrink_to_fit();
    CHECK(list.capacity() == 1);
    CHECK(holds(list, {0}));
    list.push_back({1, ~1U});
    CHECK(holds(list, {0, 1}));
    list.clear();
    list.shrink_to_fit();
    CHECK(list.capacity() == 1);

    compact_list<large> none;
    CHECK(none.capacity() == 0);
    none.push_back({1, ~std::uint64_t{1}, 2});
    none.clear();
    none.shrink_to_fit();
    CHECK(none.capacity() == 0);
}

TEST_CASE("compact_list: grows by an eighth") {
    compact_list<small> list;
    for (std::uint32_t i = 0; i != 10'000; ++i) {
        list.push_back({i, ~i});
        REQUIRE(list.capacity() <= list.size() + 2 + list.size() / 8);
    }
}

TEST_CASE("rare_list: elements come, go and stay what they are") {
    grow_and_shrink<rare_list<small>, small>();
    grow_and_shrink<rare_list<large>, large>();
    rare_list<large> list;
    list.keep(0);
    for (std::uint32_t i = 0; i != 10; ++i)
        list.push_back(make(i, static_cast<large*>(nullptr)));
    list.keep(3);
    CHECK(holds(list, {0, 1, 2}));
    list.reset();
    CHECK(holds(list, {}));
}

TEST_CASE("rare_list: what is beside the elements stays while they come and go") {
    grow_and_shrink<list_with_owner, large>();
    list_with_owner list;
    CHECK(list.beside() == nullptr);
    list.make_beside().number = std::make_unique<std::uint32_t>(5);
    CHECK(list.empty());
    CHECK(list.begin() == list.end());
    const auto* const number = list.beside()->number.get();
    for (std::uint32_t i = 0; i != 100; ++i)
        list.push_back(make(i, static_cast<large*>(nullptr)));
    list.keep(2);
    CHECK(holds(list, {0, 1}));
    CHECK(&list.make_beside() == list.beside());
    REQUIRE(list.beside());
    CHECK(list.beside()->number.get() == number);

    list.reset();
    CHECK(holds(list, {}));
    REQUIRE(list.beside());
    CHECK(list.beside()->number.get() == number);
    CHECK(*number == 5);

    list.push_back(make(7, static_cast<large*>(nullptr)));
    list.beside()->number.reset();
    list.give_back();
    CHECK(holds(list, {7}));
    list.reset();
    CHECK(list.beside() == nullptr);

    list.make_beside().number = std::make_unique<std::uint32_t>(6);
    list.beside()->number.reset();
    list.give_back();
    CHECK(list.beside() == nullptr);
}
