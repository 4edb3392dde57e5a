// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/json_reader.hpp>

#include "catch.hpp"
#include "json_oracle.hpp"

#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using pusher::json_kind;
using pusher::json_reader;
using pusher::json_value;
using namespace std::string_literals;

namespace {

struct outcome {
    const char* fault;
    std::size_t position;
};

outcome outcome_of(std::string_view text) {
    std::string scratch;
    json_reader r(text, 32, scratch);
    r.skip();
    r.finish();
    return {r.fault(), r.position()};
}

json_value value_of(std::string_view text, std::string& scratch) {
    json_reader r(text, 32, scratch);
    json_value v;
    REQUIRE(r.read(v));
    REQUIRE(r.finish());
    return v;
}

} // namespace

TEST_CASE("json_reader: a fault says what and where", "[json_reader]") {
    struct row {
        std::string text;
        std::string fault;
        std::size_t position;
    };
    const std::vector<row> rows{
        {"", "a value is missing", 0},
        {"  ", "a value is missing", 2},
        {"{", "the text ends inside an array or object", 1},
        {"[1", "the text ends inside an array or object", 2},
        {"{]", "expected a field's name in quotes", 1},
        {"{a:1}", "expected a field's name in quotes", 1},
        {"{\"a\":1,}", "expected a field's name in quotes", 7},
        {"{\"a\" 1}", "expected ':' after a field's name", 5},
        {"{\"a\"", "expected ':' after a field's name", 4},
        {"{\"a\":", "a value is missing", 5},
        {"{\"a\":}", "not a JSON value", 5},
        {"{\"a\":1 \"b\":2}", "expected ',' or '}'", 7},
        {"[1 2]", "expected ',' or ']'", 3},
        {"[1}", "expected ',' or ']'", 2},
        {"[1,]", "not a JSON value", 3},
        {"[,1]", "not a JSON value", 1},
        {"nul", "not a JSON value", 0},
        {"True", "not a JSON value", 0},
        {"'a'", "not a JSON value", 0},
        {"nullx", "there is more after the end of the JSON text", 4},
        {"1 2", "there is more after the end of the JSON text", 2},
        {"{} x", "there is more after the end of the JSON text", 3},
        {"01", "there is more after the end of the JSON text", 1},
        {"+1", "not a JSON value", 0},
        {"-", "expected a digit", 1},
        {"-a", "expected a digit", 1},
        {"1.", "expected a digit", 2},
        {"1.e1", "expected a digit", 2},
        {".5", "not a JSON value", 0},
        {"1e", "expected a digit", 2},
        {"1e+", "expected a digit", 3},
        {"\"a", "the text ends inside a string", 2},
        {"\"a\\", "the text ends inside a string", 3},
        {"\"\\u12", "the text ends inside a string", 5},
        {"\"\\x\"", "unknown escape in a string", 2},
        {"\"\\u12g4\"", "expected four hexadecimal digits after \\u", 5},
        {"\"a\nb\"", "a control character in a string must be escaped", 2},
        {"\"\\n\t\"", "a control character in a string must be escaped", 3},
        {"\"\\ud800\"", "half a surrogate pair in a string", 7},
        {"\"\\ud800\\n\"", "half a surrogate pair in a string", 7},
        {"\"\\ud800\\ud800\"", "half a surrogate pair in a string", 13},
        {"\"\\udc00\"", "half a surrogate pair in a string", 7},
        {"\xEF\xBB\xBF{}", "not a JSON value", 0},
        {"/**/1", "not a JSON value", 0},
    };
    for (const auto& row : rows) {
        const auto is = outcome_of(row.text);
        INFO(row.text);
        REQUIRE(is.fault);
        CHECK(is.fault == row.fault);
        CHECK(is.position == row.position);
        CHECK(json_oracle::difference(row.text).empty());
    }
}

TEST_CASE("json_reader: strings are decoded, and are views where nothing is to decode", "[json_reader]") {
    std::string scratch;
    const auto text = R"(  "plain" )"s;
    const auto plain = value_of(text, scratch);
    CHECK(plain.text == "plain");
    CHECK(plain.text.data() == text.data() + 3);
    CHECK(plain.source == "\"plain\"");
    CHECK(scratch.capacity() == std::string().capacity());

    CHECK(value_of(R"("\"\\\/\b\f\n\r\t")", scratch).text == "\"\\/\b\f\n\r\t");
    scratch.clear();
    CHECK(value_of(R"("x\u0041\u00e9\u20AC\ud83d\ude00y")", scratch).text == "xAé€😀y");
    scratch.clear();
    CHECK(value_of(R"("\u0000")", scratch).text == "\0"s);
    scratch.clear();
    CHECK(value_of("\"é€😀\"", scratch).text == "é€😀");
}

TEST_CASE("json_reader: views of decoded strings stay valid until the end of the text", "[json_reader]") {
    std::string text = "[";
    for (int i = 0; i != 500; ++i)
        text += "\"\\u0041" + std::to_string(i) + "\",";
    text += "0]";
    std::string scratch;
    json_reader r(text, 32, scratch);
    REQUIRE(r.peek() == json_kind::array);
    REQUIRE(r.enter_array());
    std::vector<std::string_view> views;
    json_value v;
    while (r.next_element() && r.read(v))
        views.push_back(v.text);
    REQUIRE(r.finish());
    REQUIRE(views.size() == 501);
    for (std::size_t i = 0; i != 500; ++i)
        CHECK(views[i] == "A" + std::to_string(i));
}

TEST_CASE("json_reader: any value's exact source text", "[json_reader]") {
    for (const std::string source :
         {"1.0", "-0", "1E400", "123456789012345678901234567890", "true", "null", "\"\\u0041\"",
          "{\"a\":1,\"a\":2}", "[ 1.0 , [\t] ,\n{} ]", "{ \"b\\\"]\" : \"}\" }", "[]", "{}"}) {
        std::string scratch;
        const auto text = "\r\n { \"x\" :\t" + source + "  , \"y\":" + source + "}";
        std::string_view name;
        json_value v;
        json_reader r(text, 32, scratch);
        REQUIRE(r.peek() == json_kind::object);
        REQUIRE(r.enter_object());
        for (const auto* expected : {"x", "y"}) {
            REQUIRE(r.next_member(name));
            CHECK(name == expected);
            REQUIRE(r.read(v));
            CHECK(v.source == source);
        }
        CHECK_FALSE(r.next_member(name));
        CHECK(r.finish());
    }
}

TEST_CASE("json_reader: nesting is limited, without recursion", "[json_reader]") {
    for (const std::size_t limit : {1U, 2U, 31U, 32U, 33U, 63U, 64U}) {
        for (const std::size_t depth : {limit - 1, limit, limit + 1}) {
            for (const bool object : {false, true}) {
                std::string text;
                for (std::size_t i = 0; i != depth; ++i)
                    text += object ? "{\"a\":" : "[";
                text += '1';
                text += std::string(depth, object ? '}' : ']');
                INFO(limit << ' ' << depth << ' ' << object);
                CHECK(
                    json_oracle::of_reader(text, limit).is ==
                    (depth <= limit ? json_oracle::verdict::valid : json_oracle::verdict::invalid));
                CHECK(json_oracle::difference(text, limit).empty());
            }
        }
    }
    std::string scratch;
    const std::string deep(1'000'000, '[');
    json_reader r(deep, 1'000'000, scratch);
    CHECK_FALSE(r.skip());
    CHECK(r.too_deep());
    CHECK(r.position() == 64);
}

TEST_CASE("json_reader: arrays and objects alternate at every depth", "[json_reader]") {
    // Each bit of the number decides one level, inside and outside the first 32.
    std::mt19937_64 random(5);
    for (int i = 0; i != 200; ++i) {
        const auto bits = random();
        std::string open;
        std::string close;
        for (std::size_t level = 0; level != 64; ++level) {
            const bool object = (bits >> level & 1) != 0;
            open += object ? "{\"k\":1,\"l\":" : "[1,";
            close.insert(close.begin(), object ? '}' : ']');
        }
        const auto text = open + "2" + close;
        CHECK(json_oracle::difference(text, 64).empty());
        CHECK(json_oracle::of_reader(text, 64).is == json_oracle::verdict::valid);
        auto wrong = text;
        const auto at = text.size() - 1 - static_cast<std::size_t>(random() % 64);
        wrong[at] = wrong[at] == '}' ? ']' : '}';
        CHECK(json_oracle::difference(wrong, 64).empty());
        CHECK(json_oracle::of_reader(wrong, 64).is == json_oracle::verdict::invalid);
    }
}

TEST_CASE("json_reader: agrees with Boost.JSON on mutated texts", "[json_reader]") {
    const std::array<std::string, 6> seeds{
        R"({"request_id":"1","action":"publish","params":{"topic":"a","payload":[1.5e-3,{"a":null,"a":true}]}})",
        R"(["\u0041\ud83d\ude00\n\"\\\/",-0,0.5,1e10,123456789,[[],{}],{"":""}])",
        R"({"a":[false,true,null],"b":{"c":"d"}})",
        R"("text with \t escapes and é€😀")",
        "  -12.75E+2 ",
        R"([1,2,[3,[4,[5]]],{"x":{"y":{"z":[]}}}])"};
    const std::string letters = "{}[]\":,\\/ \n\t0123456789.eE+-truefalsnbxyuDdCc\x01\x7F";
    std::mt19937 random(17);
    for (int i = 0; i != 60'000; ++i) {
        auto text = seeds[random() % seeds.size()];
        for (auto edits = random() % 4; edits != 0 && !text.empty(); --edits) {
            const auto at = random() % text.size();
            const auto letter = letters[random() % letters.size()];
            switch (random() % 3) {
            case 0: text[at] = letter; break;
            case 1: text.insert(at, 1, letter); break;
            default: text.erase(at, 1 + random() % 3); break;
            }
        }
        if (!pusher::detail::is_valid_utf8(text))
            continue;
        if (const auto difference = json_oracle::difference(text); !difference.empty())
            FAIL(text << ": " << difference);
    }
}
