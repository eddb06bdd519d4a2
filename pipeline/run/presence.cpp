#include "pipeline/run/presence.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <unistd.h>

#include "pipeline/run/json_record.h"
#include "pipeline/run/run_log.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// A beat that a file from elsewhere may claim.
constexpr std::int64_t kMinBeatMs = 10, kMaxBeatMs = 60'000;
/// A file that cannot be read is read again so often, so long after: on a network file system it
/// may be between two versions.
constexpr int kReads = 10;
constexpr std::chrono::milliseconds kBetweenReads{20};
/// Each time somebody else was quicker, or came to his end just now.
constexpr int kClaims = 10;

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

/// Which numbers of processes mean the same ones: `pid:[4026531836]`; empty: nobody can tell.
std::string process_namespace() {
  std::error_code error;
  const fs::path name = fs::read_symlink("/proc/self/ns/pid", error);
  return error ? "" : name.string();
}

struct ProcessState {
  char state = '?';        ///< `R`, `S`, …; `Z`: it has ended, and nobody has asked how
  std::int64_t start = 0;  ///< ticks since the machine started
};

/// @return absent where there is no such process, or it is hidden
std::optional<ProcessState> state_of_process(std::int64_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  // The name comes before, in parentheses, and may hold anything.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  constexpr int kBetweenStateAndStart = 18;
  ProcessState found;
  fields >> found.state;
  std::string skipped;
  for (int i = 0; i < kBetweenStateAndStart; ++i) fields >> skipped;
  fields >> found.start;
  return fields ? std::optional(found) : std::nullopt;
}

std::string new_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

std::string name_of(const PresenceRecord& record) {
  return fmt::format("process {} on {}, begun {}", record.process, record.host, record.started);
}

std::optional<PresenceRecord> read_record(const fs::path& path) {
  try {
    const JsonRecord record = JsonRecord::of_file(path);
    return PresenceRecord{.id = record.text("id"),
                          .host = record.text("host"),
                          .boot = record.text("boot"),
                          .process = record.integer("process"),
                          .process_namespace = record.text("process_namespace"),
                          .process_start = record.integer("process_start"),
                          .beat = record.integer("beat"),
                          .beat_ms = std::clamp(record.integer("beat_ms"), kMinBeatMs, kMaxBeatMs),
                          .started = record.text("started"),
                          .seen = record.text("seen"),
                          .elapsed_s = record.real("elapsed_s"),
                          .advance = {.rows = record.count("rows"),
                                      .before = record.count("before"),
                                      .done = record.count("done"),
                                      .failed = record.count("failed")}};
  } catch (const SystemError&) {
    return std::nullopt;  // not there, or not one of ours
  }
}

/// As read_presence(), but does not take a bad moment for the truth.
std::optional<PresenceRecord> read_surely(const fs::path& folder) {
  for (int i = 1; i < kReads; ++i) {
    if (auto record = read_presence(folder)) return record;
    std::this_thread::sleep_for(kBetweenReads);
  }
  return read_presence(folder);
}

bool is_seen_from_here(const PresenceRecord& record) {
  return record.boot == boot_id() && !record.process_namespace.empty() &&
         record.process_namespace == process_namespace();
}

}  // namespace

std::optional<PresenceRecord> read_presence(const fs::path& folder) {
  return read_record(folder / kPresenceName);
}

bool has_ended(const PresenceRecord& record) {
  if (!is_seen_from_here(record) || record.process <= 0) return false;
  if (kill(static_cast<pid_t>(record.process), 0) != 0 && errno == ESRCH) return true;
  // Something has this number: the process, what is left of it, or another one since.
  const std::optional<ProcessState> now = state_of_process(record.process);
  return now && (now->state == 'Z' || now->state == 'X' || now->start != record.process_start);
}

bool shows_life(const fs::path& folder, const PresenceRecord& record, int missed) {
  const std::chrono::milliseconds every(record.beat_ms);
  const auto end = std::chrono::steady_clock::now() + every * missed;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(every / 2);
    const std::optional<PresenceRecord> now = read_surely(folder);
    if (!now) return false;  // it came to its end
    if (now->id != record.id || now->beat != record.beat) return true;
  }
  return false;
}

void fail_taken(const fs::path& folder, const std::optional<PresenceRecord>& by) {
  throw FolderTaken(fmt::format("another run is writing in '{}'{}", folder.string(),
                                by ? ": " + name_of(*by) : ""));
}

Presence::Presence(fs::path folder, Heartbeat heartbeat, bool locked)
    : folder_(std::move(folder)), heartbeat_(heartbeat) {
  record_ = {.id = new_id(),
             .host = host_name(),
             .boot = boot_id(),
             .process = getpid(),
             .process_namespace = process_namespace(),
             .process_start = state_of_process(getpid()).value_or(ProcessState{}).start,
             .beat_ms = heartbeat.every.count(),
             .started = utc_time()};
  claim(locked);
  thread_ = std::jthread([this](std::stop_token stop) { beat(std::move(stop)); });
}

Presence::~Presence() {
  thread_.request_stop();
  thread_.join();
  const std::optional<PresenceRecord> there = read_presence(folder_);
  if (!there || there->id != record_.id) return;
  // Somebody may take the folder over between the look and the removal. So the file goes aside
  // first, and back again if it is not the one that was looked at.
  const fs::path aside = temporary_path(file());
  if (std::rename(file().c_str(), aside.c_str()) != 0) return;
  const std::optional<PresenceRecord> taken = read_record(aside);
  if (taken && taken->id != record_.id && link(aside.c_str(), file().c_str()) != 0 &&
      errno != EEXIST) {
    static_cast<void>(std::rename(aside.c_str(), file().c_str()));
  }
  unlink(aside.c_str());
}

bool Presence::claim_first() const {
  OutputFile own(file());
  own.write(text());
  try {
    return own.finish_first();
  } catch (const TemporaryGone&) {
    return false;  // somebody has just taken the folder over
  }
}

void Presence::claim(bool locked) {
  for (int i = 0; i < kClaims; ++i) {
    if (claim_first()) return;
    const std::optional<PresenceRecord> other = read_surely(folder_);
    std::error_code error;
    if (!other && !fs::exists(file(), error)) continue;  // it came to its end just now
    if (other && !has_ended(*other)) {
      if (shows_life(folder_, *other, heartbeat_.missed)) fail_taken(folder_, other);
    }
    const std::optional<PresenceRecord> now = read_surely(folder_);
    const bool is_the_same =
        other ? now && now->id == other->id : !now && fs::exists(file(), error);
    if (is_the_same) return take_over(other, locked);
  }
  fail_taken(folder_, read_presence(folder_));
}

void Presence::take_over(const std::optional<PresenceRecord>& from, bool locked) {
  try {
    write_file(file(), text());
  } catch (const TemporaryGone&) {
    fail_taken(folder_, read_surely(folder_));  // he was quicker, and has cleaned up
  }
  // Nobody else can have found the same, where the lock keeps out all who can know so soon.
  const bool has_rivals = !locked || !from || !is_seen_from_here(*from);
  if (has_rivals) std::this_thread::sleep_for(heartbeat_.every);
  const std::optional<PresenceRecord> there = read_surely(folder_);
  if (!there || there->id != record_.id) fail_taken(folder_, there);
}

void Presence::set(const Advance& advance) {
  const std::lock_guard lock(mutex_);
  record_.advance = advance;
}

bool Presence::is_own() const {
  const std::optional<PresenceRecord> there = read_surely(folder_);
  return there && there->id == record_.id;
}

void Presence::require_own() const {
  const std::optional<PresenceRecord> there = read_surely(folder_);
  if (there && there->id == record_.id) return;
  if (there) {
    throw FolderTaken(
        fmt::format("this process was taken for dead, and another one writes in '{}' in its place: "
                    "{}; this one stops",
                    folder_.string(), name_of(*there)));
  }
  throw FolderTaken(fmt::format(
      "'{}' is gone or cannot be read: this process was taken for dead by another one that has "
      "ended since, or somebody removed the file; the same command goes on from what is there",
      file().string()));
}

void Presence::beat(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, heartbeat_.every, [] { return false; }) &&
         !stop.stop_requested()) {
    ++record_.beat;
    lock.unlock();
    if (!write_beat()) return;
    lock.lock();
  }
}

/// @return whether the folder still is our own
bool Presence::write_beat() {
  try {
    bool own = true;
    OutputFile again(file());
    again.write(text());
    again.finish_if([&] { return own = is_own(); });
    return own;
  } catch (const SystemError&) {
    // A full disk stops the run where it writes results; here nothing is lost.
    return true;
  }
}

std::string Presence::text() const {
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
                                    {"process_namespace", r.process_namespace},
                                    {"process_start", r.process_start},
                                    {"started", r.started},
                                    {"seen", utc_time()},
                                    {"beat", r.beat},
                                    {"beat_ms", r.beat_ms},
                                    {"elapsed_s", elapsed.count()},
                                    {"rows", r.advance.rows},
                                    {"before", r.advance.before},
                                    {"done", r.advance.done},
                                    {"failed", r.advance.failed}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace cfp
