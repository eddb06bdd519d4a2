#include "stages/network/checkpoint/pickle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "stages/network/checkpoint/pickle_globals.h"
#include "stages/network/checkpoint/pickle_opcodes.h"

namespace cfp {
namespace {

using enum PickleOpcode;

constexpr PickleId kUnset = ~PickleId{0};

class PickleMachine {
 public:
  PickleMachine(ByteView bytes, const std::string& file) : reader_(bytes, file) {
    // None, True and False exist once: a pickle of a million None's holds no million values.
    none_ = make(PickleNone{});
    true_ = make(true);
    false_ = make(false);
  }

  Pickle run() {
    while (!stopped_) step();
    pickle_.root = pop();
    if (!stack_.empty() || !marks_.empty()) refuse("values are left over at its end");
    pickle_.bytes_used = reader_.position();
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void refuse(std::string_view why) const {
    refuse_file(reader_.file(),
                fmt::format("the pickle is refused at offset {}: {}", reader_.position(), why));
  }

  // --- values, stack and marks ---------------------------------------------------------------

  PickleId make(PickleValue value) {
    if (pickle_.values.size() >= kMaxPickleValues) {
      refuse(fmt::format("more than {} values", kMaxPickleValues));
    }
    pickle_.values.push_back(std::move(value));
    depths_.push_back(0);
    return static_cast<PickleId>(pickle_.values.size() - 1);
  }

  void push(PickleId id) { stack_.push_back(id); }
  void push_new(PickleValue value) { push(make(std::move(value))); }

  PickleId& top() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("its stack runs empty");
    return stack_.back();
  }
  PickleId pop() {
    const PickleId id = top();
    stack_.pop_back();
    return id;
  }
  std::vector<PickleId> pop_to_mark() {
    if (marks_.empty()) refuse("it closes a container that it did not open");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<PickleId> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return items;
  }
  void mark() {
    if (marks_.size() >= kMaxPickleDepth) {
      refuse(fmt::format("containers nest deeper than {}", kMaxPickleDepth));
    }
    marks_.push_back(stack_.size());
  }

  template <class T>
  T& expect(PickleId id, std::string_view what) {
    T* value = std::get_if<T>(&pickle_.values[id]);
    if (value == nullptr) refuse(fmt::format("{} expected, but something else is there", what));
    return *value;
  }

  /// Accounts for a container holding one more value. A child costs at least a byte of the pickle,
  /// two where Python 2 wrote an ordered dictionary as a list of pairs; more is a bomb.
  void adopt(PickleId container, PickleId child) {
    if (++children_ > 2 * reader_.position()) refuse("it repeats itself without end");
    const int depth = depths_[child] + 1;
    if (depth > kMaxPickleDepth) {
      refuse(fmt::format("containers nest deeper than {}", kMaxPickleDepth));
    }
    depths_[container] = static_cast<std::uint8_t>(std::max<int>(depths_[container], depth));
  }

  // --- containers ------------------------------------------------------------------------------

  void make_tuple(std::vector<PickleId> items) {
    const PickleId tuple = make(PickleSequence{{}, true});
    for (const PickleId item : items) adopt(tuple, item);
    std::get<PickleSequence>(pickle_.values[tuple]).items = std::move(items);
    push(tuple);
  }
  void make_short_tuple(std::size_t size) {
    std::vector<PickleId> items(size);
    for (std::size_t i = size; i > 0; --i) items[i - 1] = pop();
    make_tuple(std::move(items));
  }
  void append(const std::vector<PickleId>& items) {
    const PickleId list = top();
    auto& sequence = expect<PickleSequence>(list, "a list");
    if (sequence.tuple) refuse("it appends to a tuple");
    for (const PickleId item : items) {
      adopt(list, item);
      sequence.items.push_back(item);
    }
  }
  void set_items(const std::vector<PickleId>& items) {
    if (items.size() % 2 != 0) refuse("a dictionary has a key without a value");
    const PickleId id = top();
    auto& dict = expect<PickleDict>(id, "a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) put(id, dict, items[i], items[i + 1]);
  }
  void put(PickleId id, PickleDict& dict, PickleId key, PickleId value) {
    adopt(id, key);
    adopt(id, value);
    dict.items.emplace_back(key, value);
  }

  // --- memo ------------------------------------------------------------------------------------

  void remember(std::size_t slot) {
    // Python numbers the slots from 0 without gaps, so there are never more than values.
    if (slot >= kMaxPickleValues) refuse(fmt::format("memo slot {} is out of range", slot));
    if (slot >= memo_.size()) memo_.resize(slot + 1, kUnset);
    if (memo_[slot] == kUnset) ++memo_used_;
    memo_[slot] = top();
  }
  void recall(std::size_t slot) {
    if (slot >= memo_.size() || memo_[slot] == kUnset) {
      refuse(fmt::format("memo slot {} was never filled", slot));
    }
    push(memo_[slot]);
  }

  // --- globals and calls -----------------------------------------------------------------------

  void push_global(std::string_view module, std::string_view name) {
    const std::optional<int> index = find_allowed_global(module, name);
    if (!index) {
      refuse_file(reader_.file(),
                  fmt::format("its pickle names '{} {}', which tensors do not need; refused, and "
                              "nothing was executed. If the file holds a whole model, load it in "
                              "Python and save model.state_dict() instead",
                              printable(module), printable(name)));
    }
    push_new(PickleGlobal{*index});
  }

  /// Few, because a tuple of a million items can be handed over again for five bytes each time.
  const std::vector<PickleId>& few_items(PickleId id, std::string_view what) {
    const auto& items = expect<PickleSequence>(id, what).items;
    if (items.size() > 8) refuse(fmt::format("{} has {} items, more than 8", what, items.size()));
    return items;
  }

  void reduce() {
    const PickleId arguments_id = pop();
    const PickleId function = pop();
    const int index = expect<PickleGlobal>(function, "a function of the allow-list").index;
    const auto& arguments = few_items(arguments_id, "a tuple of arguments");
    const AllowedGlobal& global = allowed_global(index);
    const auto need = [&](std::size_t least, std::size_t most) {
      if (arguments.size() < least || arguments.size() > most) {
        refuse(fmt::format("'{} {}' is called with {} arguments", global.module, global.name,
                           arguments.size()));
      }
    };
    switch (global.role) {
      case GlobalRole::kOrderedDict:
        need(0, 1);
        return ordered_dict(arguments);
      case GlobalRole::kRebuildTensorV2:
        need(6, 7);
        return rebuild_tensor(arguments);
      case GlobalRole::kRebuildTensor:
        need(4, 4);
        return rebuild_tensor(arguments);
      case GlobalRole::kRebuildParameter:
        need(1, 4);
        expect<PickleTensor>(arguments[0], "a parameter's tensor");
        return push(arguments[0]);
      case GlobalRole::kSize:
        need(1, 1);
        expect<PickleSequence>(arguments[0], "a size's tuple");
        return push(arguments[0]);
      case GlobalRole::kSkipped:
        return push_new(PickleSkipped{});
      case GlobalRole::kStorage:
        break;
    }
    refuse(fmt::format("'{} {}' is called, which rebuilds no tensor", global.module, global.name));
  }

  void ordered_dict(const std::vector<PickleId>& arguments) {
    const PickleId id = make(PickleDict{});
    if (!arguments.empty()) {
      auto& dict = std::get<PickleDict>(pickle_.values[id]);
      for (const PickleId pair_id : expect<PickleSequence>(arguments[0], "a list of pairs").items) {
        const auto& pair = expect<PickleSequence>(pair_id, "a pair").items;
        if (pair.size() != 2) refuse("an ordered dictionary holds something that is no pair");
        put(id, dict, pair[0], pair[1]);
      }
    }
    push(id);
  }

  void rebuild_tensor(const std::vector<PickleId>& arguments) {
    PickleTensor tensor;
    tensor.storage = arguments[0];
    expect<PickleStorage>(tensor.storage, "a tensor's storage");
    tensor.offset = expect<std::int64_t>(arguments[1], "a tensor's offset");
    tensor.shape = arguments[2];
    tensor.stride = arguments[3];
    expect<PickleSequence>(tensor.shape, "a tensor's shape");
    expect<PickleSequence>(tensor.stride, "a tensor's stride");
    push_new(tensor);
  }

  /// ('storage', type, key, location, elements) in zip files; legacy files add a view: None or
  /// (key, first element, elements).
  void persistent_id() {
    const auto& id = few_items(pop(), "a persistent id");
    if (id.empty()) refuse("a persistent id is empty");
    const auto kind = expect<std::string_view>(id[0], "the kind of a persistent id");
    if (kind == "module") {
      refuse(
          "the file holds a whole model with its source code; load it in Python and save "
          "model.state_dict() instead");
    }
    if (kind != "storage" || id.size() < 5 || id.size() > 6) {
      refuse(fmt::format("a persistent id of kind '{}' with {} parts, where a storage has 5 or 6",
                         printable(kind), id.size()));
    }
    PickleStorage storage;
    const auto& type = allowed_global(expect<PickleGlobal>(id[1], "a storage's type").index);
    if (type.role != GlobalRole::kStorage) refuse("a storage's type is no storage class");
    storage.dtype = type.dtype;
    storage.key = expect<std::string_view>(id[2], "a storage's key");
    storage.elements = expect<std::int64_t>(id[4], "a storage's number of elements");
    if (storage.elements < 0) refuse("a storage has a negative number of elements");
    if (id.size() == 6 && !std::holds_alternative<PickleNone>(pickle_.values[id[5]])) {
      const auto& view = expect<PickleSequence>(id[5], "a storage's view").items;
      if (view.size() != 3) refuse("a storage's view has not 3 parts");
      storage.view_offset = expect<std::int64_t>(view[1], "a view's first element");
      if (storage.view_offset < 0) refuse("a storage's view begins before it");
    }
    push_new(storage);
  }

  void build() {
    pop();  // the state: attributes such as an OrderedDict's `_metadata`
    const PickleValue& object = pickle_.values[top()];
    if (!std::holds_alternative<PickleDict>(object) &&
        !std::holds_alternative<PickleTensor>(object) &&
        !std::holds_alternative<PickleSkipped>(object)) {
      refuse("it sets the attributes of a value that has none");
    }
  }

  // --- the opcodes -----------------------------------------------------------------------------

  void push_text(std::uint64_t length) { push_new(as_text(reader_.take(length, "a text"))); }

  void push_long() {
    const ByteView bytes = reader_.take(reader_.u8("an integer's length"), "an integer");
    if (bytes.size() > 8) return push_new(PickleBigInteger{bytes});
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
    if (!bytes.empty() && bytes.size() < 8 && (bytes.back() & 0x80) != 0) {
      value |= ~std::uint64_t{0} << (8 * bytes.size());
    }
    push_new(static_cast<std::int64_t>(value));
  }

  void push_float() {  // the only big-endian number of the format
    std::uint64_t bits = 0;
    for (const std::uint8_t byte : reader_.take(8, "a float")) bits = bits << 8 | byte;
    push_new(std::bit_cast<double>(bits));
  }

  void check_protocol() {
    const int protocol = reader_.u8("the protocol");
    if (protocol < 2 || protocol > 5) {
      refuse(fmt::format("protocol {}, where torch.save writes 2 to 5", protocol));
    }
  }

  void check_frame() {
    const std::uint64_t length = reader_.u64("a frame's length");
    if (length > reader_.remaining()) {
      refuse(fmt::format("a frame of {} bytes where {} are left; the file is truncated or damaged",
                         length, reader_.remaining()));
    }
  }

  void stack_global() {
    const auto name = expect<std::string_view>(pop(), "a global's name");
    const auto module = expect<std::string_view>(pop(), "a global's module");
    push_global(module, name);
  }

  void named_global() {
    const std::string_view module = reader_.line("a global's module");
    push_global(module, reader_.line("a global's name"));
  }

  void set_item() {
    const PickleId value = pop();
    const PickleId key = pop();
    set_items({key, value});
  }

  void step() {
    const std::uint8_t opcode = reader_.u8("an opcode");
    switch (PickleOpcode{opcode}) {
      case kProto:
        return check_protocol();
      case kFrame:
        return check_frame();
      case kStop:
        stopped_ = true;
        return;
      case kMark:
        return mark();
      case kNone:
        return push(none_);
      case kNewTrue:
        return push(true_);
      case kNewFalse:
        return push(false_);
      case kBinInt:
        return push_new(std::int64_t{std::bit_cast<std::int32_t>(reader_.u32("int"))});
      case kBinInt1:
        return push_new(std::int64_t{reader_.u8("an integer")});
      case kBinInt2:
        return push_new(std::int64_t{reader_.u16("an integer")});
      case kLong1:
        return push_long();
      case kBinFloat:
        return push_float();
      case kBinString:
      case kBinUnicode:
      case kBinBytes:
        return push_text(reader_.u32("a length"));
      case kShortBinString:
      case kShortBinBytes:
      case kShortBinUnicode:
        return push_text(reader_.u8("a length"));
      case kEmptyList:
        return push_new(PickleSequence{});
      case kEmptyDict:
        return push_new(PickleDict{});
      case kEmptyTuple:
        return make_tuple({});
      case kTuple:
        return make_tuple(pop_to_mark());
      case kTuple1:
        return make_short_tuple(1);
      case kTuple2:
        return make_short_tuple(2);
      case kTuple3:
        return make_short_tuple(3);
      case kAppend:
        return append({pop()});
      case kAppends:
        return append(pop_to_mark());
      case kSetItem:
        return set_item();
      case kSetItems:
        return set_items(pop_to_mark());
      case kBinPut:
        return remember(reader_.u8("a memo slot"));
      case kLongBinPut:
        return remember(reader_.u32("a memo slot"));
      case kMemoize:
        return remember(memo_used_);
      case kBinGet:
        return recall(reader_.u8("a memo slot"));
      case kLongBinGet:
        return recall(reader_.u32("a memo slot"));
      case kGlobal:
        return named_global();
      case kStackGlobal:
        return stack_global();
      case kReduce:
        return reduce();
      case kBuild:
        return build();
      case kBinPersId:
        return persistent_id();
      default:
        refuse(fmt::format("opcode 0x{:02x} has no place in a checkpoint", opcode));
    }
  }

  ByteReader reader_;
  Pickle pickle_;
  std::vector<std::uint8_t> depths_;  // of each value, as far as known when it was last filled
  std::vector<PickleId> stack_;
  std::vector<std::size_t> marks_;
  std::vector<PickleId> memo_;
  std::size_t memo_used_ = 0;
  std::size_t children_ = 0;
  bool stopped_ = false;
  PickleId none_ = 0, true_ = 0, false_ = 0;
};

}  // namespace

Pickle read_pickle(ByteView bytes, const std::string& file) {
  return PickleMachine(bytes.first(std::min(bytes.size(), kMaxPickleBytes)), file).run();
}

}  // namespace cfp
