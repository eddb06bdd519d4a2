// std::visit with a lambda a kind.
//
//   std::visit(Overloaded{[](const Conv3d& op) { … }, [](const auto&) { … }}, node.op);
#pragma once

namespace cfp {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace cfp
