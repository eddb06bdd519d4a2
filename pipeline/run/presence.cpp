#include "pipeline/run/presence.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "pipeline/run/run_log.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Much more than such a file has.
constexpr std::size_t kMaxBytes = 64 * 1024;
/// A beat that a file from elsewhere may claim.
constexpr std::int64_t kMinBeatMs = 10, kMaxBeatMs = 60'000;

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

/// A number that the kernel draws when the machine starts.
std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id.empty() ? host_name() : id;
}

std::string new_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

std::optional<PresenceRecord> read_presence(const fs::path& folder) {
  std::ifstream file(folder / kPresenceName, std::ios::binary);
  std::string text(kMaxBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  try {
    const auto json = nlohmann::json::parse(text);
    const auto number = [&](const char* name) { return json.at(name).get<std::int64_t>(); };
    return PresenceRecord{.id = json.at("id"),
                          .host = json.at("host"),
                          .boot = json.at("boot"),
                          .process = number("process"),
                          .beat = number("beat"),
                          .beat_ms = number("beat_ms"),
                          .started = json.at("started"),
                          .seen = json.at("seen"),
                          .elapsed_s = json.at("elapsed_s"),
                          .advance = {.rows = number("rows"),
                                      .before = number("before"),
                                      .done = number("done"),
                                      .failed = number("failed")}};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // not there, or not one of ours
  }
}

bool is_of_this_machine(const PresenceRecord& record) { return record.boot == boot_id(); }

bool shows_life(const fs::path& folder, const PresenceRecord& record, int missed) {
  const std::chrono::milliseconds every(std::clamp(record.beat_ms, kMinBeatMs, kMaxBeatMs));
  const auto end = std::chrono::steady_clock::now() + every * missed;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(every / 2);
    const std::optional<PresenceRecord> now = read_presence(folder);
    if (!now) return false;  // it came to its end
    if (now->id != record.id || now->beat != record.beat) return true;
  }
  return false;
}

Presence::Presence(fs::path folder, Heartbeat heartbeat)
    : folder_(std::move(folder)), heartbeat_(heartbeat) {
  record_ = {.id = new_id(),
             .host = host_name(),
             .boot = boot_id(),
             .process = getpid(),
             .beat_ms = heartbeat.every.count(),
             .started = utc_time()};
  write();
  thread_ = std::jthread([this](std::stop_token stop) { beat(std::move(stop)); });
}

Presence::~Presence() {
  thread_.request_stop();
  thread_.join();
  const std::optional<PresenceRecord> there = read_presence(folder_);
  std::error_code error;
  if (there && there->id == record_.id) fs::remove(folder_ / kPresenceName, error);
}

void Presence::set(const Advance& advance) {
  const std::lock_guard lock(mutex_);
  record_.advance = advance;
}

std::optional<PresenceRecord> Presence::successor() const {
  const std::lock_guard lock(mutex_);
  return successor_;
}

void Presence::beat(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, heartbeat_.every, [] { return false; }) &&
         !stop.stop_requested() && !successor_) {
    ++record_.beat;
    lock.unlock();
    const std::optional<PresenceRecord> there = read_presence(folder_);
    const bool is_ours = !there || there->id == record_.id;
    if (is_ours) write();
    lock.lock();
    if (!is_ours) successor_ = there;
  }
}

void Presence::write() {
  PresenceRecord r;
  {
    const std::lock_guard lock(mutex_);
    r = record_;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  const nlohmann::ordered_json json{{"id", r.id},
                                    {"host", r.host},
                                    {"boot", r.boot},
                                    {"process", r.process},
                                    {"started", r.started},
                                    {"seen", utc_time()},
                                    {"beat", r.beat},
                                    {"beat_ms", r.beat_ms},
                                    {"elapsed_s", elapsed.count()},
                                    {"rows", r.advance.rows},
                                    {"before", r.advance.before},
                                    {"done", r.advance.done},
                                    {"failed", r.advance.failed}};
  try {
    write_file(folder_ / kPresenceName,
               json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
  } catch (const SystemError&) {
    // A full disk stops the run where it writes results; here nothing is lost.
  }
}

}  // namespace cfp
