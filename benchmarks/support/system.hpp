// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/// The Linux calls that the load generator and the bare server share.
namespace bench {

/// Throws on a negative result, with `what` and the reason.
inline int check(int result, const char* what) {
    if (result < 0)
        throw std::system_error(errno, std::generic_category(), what);
    return result;
}

class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

    void reset() noexcept {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

/// Nanoseconds of CLOCK_MONOTONIC, which is `std::chrono::steady_clock` and the same in every process.
inline std::uint64_t steady_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Raises the soft limit of open descriptors to the hard one and returns it.
inline std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    return limit.rlim_cur;
}

inline void set_option(int fd, int level, int name, int value, const char* what) {
    check(::setsockopt(fd, level, name, &value, sizeof value), what);
}

inline sockaddr_in ipv4(std::uint32_t address, std::uint16_t port) noexcept {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(address);
    to.sin_port = htons(port);
    return to;
}

/// CPU time, user and system, that a process has used so far; 0 if it cannot be read.
inline std::uint64_t process_cpu_ns(pid_t pid) noexcept {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
        return 0;
    return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(used.tv_nsec);
}

/// A small file of /proc, whole; empty if it cannot be read.
inline std::string read_proc(const std::string& path) {
    std::string text;
    const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(file.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

/// The first number after `label`, 0 if there is none.
inline std::uint64_t number_after(std::string_view text, std::string_view label) noexcept {
    auto at = text.find(label);
    if (at == text.npos)
        return 0;
    at = text.find_first_of("0123456789", at + label.size());
    std::uint64_t value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
        value = value * 10 + static_cast<std::uint64_t>(text[at] - '0');
    return value;
}

struct memory_use {
    std::uint64_t rss = 0; ///< bytes resident
    std::uint64_t pss = 0; ///< bytes resident, shared pages divided by their users
};

/// What a process holds in its own pages. Socket buffers and other kernel memory are not in it.
inline memory_use process_memory(pid_t pid) {
    const auto text = read_proc("/proc/" + std::to_string(pid) + "/smaps_rollup");
    return {number_after(text, "Rss:") * 1024, number_after(text, "Pss:") * 1024};
}

/// CPU time of the whole machine, all processes and the kernel, without idle and I/O wait.
inline std::uint64_t machine_busy_ns() {
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
    std::sscanf(
        read_proc("/proc/stat").c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
        &idle, &wait, &irq, &softirq, &steal);
    const auto ticks = user + nice + system + irq + softirq + steal;
    return ticks * (1'000'000'000U / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

} // namespace bench
