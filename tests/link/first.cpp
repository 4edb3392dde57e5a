// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "every_header.hpp"

#include <cstdio>

const void* category_in_second();

// The category's address is what error codes are compared by: both units must see one object.
int main() {
    if (&pusher::pusher_category() != category_in_second()) {
        std::puts("each unit has an error category of its own");
        return 1;
    }
    return 0;
}
